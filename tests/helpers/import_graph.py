"""Import graph of the code base: rooms, arrows between them, circles, module lengths.

    python tests/helpers/import_graph.py                            # the figures of every package
    python tests/helpers/import_graph.py tasks.stages.integrate     # the rooms that one module leads into, from the top

A room is a subpackage, or a module at the root of a top-level package. Imports inside functions count, too.
"""

import argparse
import ast
import statistics
import sys
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping
from graphlib import CycleError, TopologicalSorter
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
PACKAGES = ("undertone", "flows", "tasks", "models", "features", "data_contracts")  # a layer a package, top first
MAX_LINES = 300

Graph = Mapping[str, set[str]]


def modules(root: Path = ROOT) -> dict[str, Path]:
    """Every module of the packages, by its dotted name."""
    found = {}
    for package in PACKAGES:
        for path in sorted((root / package).rglob("*.py")):
            name = ".".join(path.relative_to(root).with_suffix("").parts)
            found[name.removesuffix(".__init__")] = path
    return found


def imports(paths: Mapping[str, Path]) -> dict[str, set[str]]:
    """The modules of ours that each module imports, at its top or inside a function."""
    return {name: set(_imported(path, paths)) - {name} for name, path in paths.items()}


def _imported(path: Path, known: Mapping[str, Path]) -> Iterator[str]:
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names if alias.name in known)
        elif isinstance(node, ast.ImportFrom) and node.module in known:
            for alias in node.names:
                inner = f"{node.module}.{alias.name}"
                yield inner if inner in known else node.module


def room(module: str) -> str:
    """The subpackage of a module; a module at the root of a top-level package is a room of its own."""
    return ".".join(module.split(".")[:2])


def arrows(graph: Graph) -> dict[str, set[str]]:
    """The rooms that each room imports from."""
    found: dict[str, set[str]] = defaultdict(set)
    for module, targets in graph.items():
        found[room(module)] |= {room(target) for target in targets} - {room(module)}
    return dict(found)


def circle(graph: Graph) -> list[str]:
    """One circle of imports, or nothing."""
    try:
        TopologicalSorter(graph).prepare()
    except CycleError as error:
        return list(error.args[1])
    return []


def arrows_up(graph: Graph) -> list[tuple[str, str]]:
    """Imports of a package that stands higher than the one that imports it."""
    layer = {package: depth for depth, package in enumerate(PACKAGES)}
    pairs = ((module, target) for module, targets in graph.items() for target in targets)
    return [(module, target) for module, target in pairs if layer[target.split(".")[0]] < layer[module.split(".")[0]]]


def walk(start: str, graph: Graph) -> list[tuple[str, list[str]]]:
    """The rooms that `start` leads into, each once and after all that import from it, with their modules."""
    reached, waiting = {start}, [start]
    while waiting:
        new = graph[waiting.pop()] - reached
        reached |= new
        waiting += new
    order = list(TopologicalSorter(arrows(graph)).static_order())[::-1]
    by_room = defaultdict(list)
    for module in sorted(reached):
        by_room[room(module)].append(module.rsplit(".", 1)[-1])
    return [(name, by_room[name]) for name in order if name in by_room]


def lengths(root: Path = ROOT) -> dict[Path, int]:
    """Lines of every Python file, tests included."""
    folders: Iterable[Path] = (root / name for name in (*PACKAGES, "notebooks", "tests"))
    files = sorted(path for folder in folders for path in folder.rglob("*.py"))
    return {path.relative_to(root): len(path.read_text().splitlines()) for path in files}


def main() -> None:
    """Prints the figures, or one walk."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("module", nargs="?", help="print the rooms that this module leads into")
    start = parser.parse_args().module
    paths = modules()
    graph = imports(paths)
    if start:
        if start not in paths:
            parser.error(f"expected a module of {', '.join(PACKAGES)}, found {start!r}")
        for name, inner in walk(start, graph):
            print(f"{name:28} {', '.join(inner)}")
        return
    print(f"{'package':16} {'modules':>8} {'rooms':>6} {'arrows between rooms':>21}")
    for package in PACKAGES:
        own = {name: path for name, path in paths.items() if name.split(".")[0] == package}
        between = arrows({name: graph[name] & own.keys() for name in own})
        print(f"{package:16} {len(own):8} {len(between):6} {sum(map(len, between.values())):21}")
    lines = lengths()
    print(f"lines a module: median {statistics.median(lines.values()):g}, most {max(lines.values())}")
    long = [str(path) for path, n_lines in lines.items() if n_lines > MAX_LINES]
    print(f"over {MAX_LINES} lines: {', '.join(long) or 'none'}")
    circles, up = circle(graph) or circle(arrows(graph)), arrows_up(graph)
    print(f"circle of modules or rooms: {' -> '.join(circles) or 'none'}")
    print(f"arrows up: {', '.join(f'{module} -> {target}' for module, target in up) or 'none'}")
    sys.exit(1 if long or circles or up else 0)


if __name__ == "__main__":
    main()
