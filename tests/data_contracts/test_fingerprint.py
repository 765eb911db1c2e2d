"""Fingerprints: equal everywhere for equal content, and different for any difference."""

import subprocess
import sys
from dataclasses import dataclass

import pytest
from helpers.paths import ROOT
from hypothesis import given
from hypothesis import strategies as st

from data_contracts.fingerprint import digest, fingerprint

LEAVES = st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=5)
CONTENT = st.recursive(
    LEAVES, lambda inner: st.lists(inner) | st.dictionaries(st.text(max_size=3), inner), max_leaves=8
)


@dataclass(frozen=True)
class Window:
    size: int = 400
    name: str = "hann"


@dataclass(frozen=True)
class Hop:
    size: int = 400
    name: str = "hann"


def test_a_digest_is_the_beginning_of_sha256():
    assert digest(b"abc") == "ba7816bf8f01cfea414140de5dae2223"
    assert digest(b"abc", 8) == "ba7816bf"


@given(CONTENT)
def test_same_content_same_name(content):
    name = fingerprint(content)
    assert name == fingerprint(content)
    assert len(name) == 12
    assert set(name) <= set("0123456789abcdef")


@given(st.dictionaries(st.text(max_size=3), st.integers(), min_size=2))
def test_the_order_of_keys_does_not_matter(content):
    assert fingerprint(dict(reversed(content.items()))) == fingerprint(content)


@pytest.mark.parametrize(
    ("one", "other"),
    [
        (("a", "b"), ("ab",)),
        (("a", "b"), ("b", "a")),
        ((["a", "b"],), ("a", "b")),
        (({"a": 1},), ({"a": 2},)),
        (({"a": 1},), ({"b": 1},)),
        ((1,), ("1",)),
        ((None,), ("",)),
        ((0.1,), (0.1 + 1e-16,)),
        ((Window(),), (Window(size=401),)),
        ((Window(),), (Hop(),)),
        (([Window()],), ([Hop()],)),
    ],
)
def test_other_content_other_name(one, other):
    assert fingerprint(*one) != fingerprint(*other)


def test_another_process_gives_the_same_name():
    """Python's own `hash` does not: it is salted a process."""
    code = 'from data_contracts.fingerprint import fingerprint as f; print(f({"b": [1, 2.5], "a": "é"}))'
    asked = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True)
    assert asked.stdout.strip() == fingerprint({"b": [1, 2.5], "a": "é"}) == "6ad835725c83"


@pytest.mark.parametrize("content", [object(), {1, 2}, b"bytes", Window])
def test_values_without_a_stable_text_are_refused(content):
    with pytest.raises(TypeError, match=r"cannot fingerprint .*: expected dataclasses"):
        fingerprint(content)
