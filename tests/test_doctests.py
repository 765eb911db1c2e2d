"""Examples in docstrings run and print what they say. Those of `undertone` need a lake: tests/undertone."""

import doctest
import importlib

import pytest
from helpers.import_graph import modules

EXAMPLES = [name for name, path in modules().items() if ">>> " in path.read_text() and not name.startswith("undertone")]


@pytest.mark.parametrize("name", EXAMPLES)
def test_examples(name):
    failed, tried = doctest.testmod(importlib.import_module(name))
    assert tried
    assert not failed
