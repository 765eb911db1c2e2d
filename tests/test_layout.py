"""Layout of the code base: no circles, no arrows up, short modules, docstrings and names in the field's terms."""

import ast
import re
import statistics

import pytest
from helpers import import_graph
from helpers.paths import ROOT

MAX_MEDIAN_LINES = 160
RELATIVE = {"what", "who", "whose", "whom", "of", "where", "how", "that", "which", "when", "why"}
PRIVATE = {
    "alone",
    "along",
    "begun",
    "chosen",
    "hear",
    "heard",
    "scatter",
    "shown",
    "smaller",
    "standing",
    "told",
    "who",
}
FILES = sorted(
    path for path in import_graph.lengths() if path.parts[:2] != ("tests", "data") and path.parts[0] != "notebooks"
)
TREES = {path: ast.parse((ROOT / path).read_text()) for path in FILES}


@pytest.fixture(scope="module")
def graph():
    return import_graph.imports(import_graph.modules())


def test_no_circles_and_no_arrows_up(graph):
    assert import_graph.circle(graph) == []
    assert import_graph.circle(import_graph.arrows(graph)) == []
    assert import_graph.arrows_up(graph) == []


@pytest.mark.parametrize("start", ["tasks.stages.integrate", "tasks.stages.discover", "features.corpus.listing"])
def test_a_walk_enters_each_room_once_and_only_downwards(graph, start):
    rooms = [room for room, _ in import_graph.walk(start, graph)]
    assert len(rooms) == len(set(rooms))
    below = import_graph.arrows(graph)
    for index, room in enumerate(rooms):
        assert not below[room] & set(rooms[:index]), f"{room} leads back up"


def test_a_circle_and_an_arrow_up_are_found():
    assert import_graph.circle({"a": {"b"}, "b": {"a"}, "c": set()})
    assert import_graph.arrows_up({"features.x": {"tasks.y"}, "tasks.y": {"features.x"}}) == [("features.x", "tasks.y")]


def test_modules_are_short():
    lines = import_graph.lengths()
    assert {path: n for path, n in lines.items() if n > import_graph.MAX_LINES} == {}
    assert statistics.median(lines.values()) <= MAX_MEDIAN_LINES


@pytest.mark.parametrize("path", FILES, ids=str)
def test_a_module_begins_with_a_noun_or_an_imperative(path):
    docstring = ast.get_docstring(TREES[path])
    assert docstring, "expected a docstring"
    first = re.split(r"\W", docstring.lstrip("`"), maxsplit=1)[0].lower()
    assert first not in RELATIVE, docstring.partition("\n")[0]


@pytest.mark.parametrize("path", [path for path in FILES if path.parts[0] != "tests"], ids=str)
def test_names_are_the_field_s(path):
    defined = {
        node.name.lstrip("_")
        for node in ast.walk(TREES[path])
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef)
    }
    constants = {
        target.id.lstrip("_")
        for node in TREES[path].body
        if isinstance(node, ast.Assign | ast.AnnAssign)
        for target in (node.targets if isinstance(node, ast.Assign) else [node.target])
        if isinstance(target, ast.Name)
    }
    assert not defined & PRIVATE
    assert path.stem not in PRIVATE
    assert [name for name in constants if re.match(r"(MOST|LEAST|FARTHEST|DEAREST)_", name)] == []
    assert [name for name in defined if re.search(r"enrol(?!l)", name, flags=re.IGNORECASE)] == []
