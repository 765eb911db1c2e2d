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


def test_modules_begin_with_a_noun_or_an_imperative():
    first_lines = {path: (ast.get_docstring(tree) or "").partition("\n")[0] for path, tree in TREES.items()}
    assert [path for path, line in first_lines.items() if not line] == []
    first_words = {path: re.split(r"\W", line.lstrip("`"), maxsplit=1)[0].lower() for path, line in first_lines.items()}
    assert {path: first_lines[path] for path, word in first_words.items() if word in RELATIVE} == {}


def test_names_are_the_field_s():
    """Functions, classes and modules; constants of limits; one spelling of enroll."""
    private, limits, spelled = [], [], []
    for path, tree in TREES.items():
        if path.parts[0] == "tests":
            continue
        defined = {path.stem, *_defined(tree)}
        private += [(path, name) for name in defined if name.lstrip("_") in PRIVATE]
        limits += [(path, name) for name in _assigned(tree) if re.match(r"_?(MOST|LEAST|FARTHEST|DEAREST)_", name)]
        spelled += [(path, name) for name in defined if re.search(r"enrol(?!l)", name, flags=re.IGNORECASE)]
    assert (private, limits, spelled) == ([], [], [])


def _defined(tree: ast.Module) -> set[str]:
    kinds = (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef)
    return {node.name for node in ast.walk(tree) if isinstance(node, kinds)}


def _assigned(tree: ast.Module) -> set[str]:
    targets = [
        target
        for node in tree.body
        if isinstance(node, ast.Assign | ast.AnnAssign)
        for target in (node.targets if isinstance(node, ast.Assign) else [node.target])
    ]
    return {target.id for target in targets if isinstance(target, ast.Name)}
