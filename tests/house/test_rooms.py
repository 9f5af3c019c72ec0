"""Rooms that a stranger finds: short files, few in a folder, one meaning a name, and imports without circles."""

from __future__ import annotations

import ast
import subprocess
from collections import defaultdict
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.serving import ROOT

_LIST = ["git", "ls-files", "--cached", "--others", "--exclude-standard"]  # also what is not committed yet
TRACKED = subprocess.run(_LIST, cwd=ROOT, capture_output=True, text=True, check=True).stdout.splitlines()
SOURCES = [ROOT / name for name in TRACKED if name.endswith((".py", ".js", ".css")) and (ROOT / name).is_file()]
MODULES = [file for file in SOURCES if file.suffix == ".py"]

MOST_LINES = 300
MOST_LINES_OF_TESTS = 750
MOST_FILES = 12  # about ten, and what wires them


def shown(file: Path) -> str:
    return str(file.relative_to(ROOT))


def is_test(file: Path) -> bool:
    return shown(file).startswith("tests/")


def test_files_are_short() -> None:
    lines = {file: len(file.read_text().splitlines()) for file in SOURCES}
    long = [
        f"{shown(file)}: {count}"
        for file, count in lines.items()
        if count > (MOST_LINES_OF_TESTS if is_test(file) else MOST_LINES)
    ]
    assert not long


def test_rooms_have_few_files() -> None:
    rooms: dict[Path, int] = defaultdict(int)
    for file in SOURCES:
        rooms[file.parent] += file.name != "__init__.py"
    assert not [f"{shown(room)}: {count}" for room, count in rooms.items() if count > MOST_FILES]


def test_each_room_says_what_lives_there() -> None:
    packages = [file for file in MODULES if file.name == "__init__.py" and not is_test(file)]
    assert packages
    assert not [shown(file) for file in packages if not ast.get_docstring(ast.parse(file.read_text()))]


def test_no_two_classes_have_one_name() -> None:
    places: dict[str, list[str]] = defaultdict(list)
    for file in MODULES:
        for node in ast.parse(file.read_text()).body:
            if isinstance(node, ast.ClassDef) and not node.name.startswith("_"):
                places[node.name].append(shown(file))
    assert not {name: files for name, files in places.items() if len(files) > 1}


def imported(tree: ast.AST, known: set[str]) -> Iterator[str]:
    """The modules of `known` that are imported when a module is: not in functions, nor for type checking alone."""
    for node in ast.iter_child_nodes(tree):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda):
            continue
        if isinstance(node, ast.If) and "TYPE_CHECKING" in ast.unparse(node.test):
            for other in node.orelse:
                yield from imported(other, known)
            continue
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names if alias.name in known)
        elif isinstance(node, ast.ImportFrom) and node.module:
            for alias in node.names:
                full = f"{node.module}.{alias.name}"
                yield full if full in known else node.module
        else:
            yield from imported(node, known)


def name_of(file: Path) -> str:
    return shown(file).removesuffix(".py").removesuffix("/__init__").replace("/", ".")


def circles(graph: dict[str, set[str]]) -> list[str]:
    """The names that lead back to themselves."""
    reach = {name: set(found) for name, found in graph.items()}
    while True:
        grown = {name: found.union(*(reach.get(other, set()) for other in found)) for name, found in reach.items()}
        if grown == reach:
            return sorted(name for name, found in reach.items() if name in found)
        reach = grown


def graph_of_modules() -> dict[str, set[str]]:
    ours = {name_of(file): file for file in MODULES if not is_test(file)}
    graph = {}
    for name, file in ours.items():
        found = set(imported(ast.parse(file.read_text()), set(ours)))
        graph[name] = {other for other in found if other in ours and other != name}
    return graph


def test_no_module_imports_itself_by_way_of_others() -> None:
    assert circles(graph_of_modules()) == []


def room_of(name: str, depth: int) -> str:
    """The room of a module, at most `depth` folders deep. A module that lies beside rooms is none's: it is itself."""
    folder = name if (ROOT / Path(*name.split("."))).is_dir() else name.rpartition(".")[0]
    parts = folder.split(".")
    has_rooms = any((ROOT / Path(*parts)).glob("*/__init__.py"))
    return name if has_rooms and len(parts) < depth else ".".join(parts[:depth])


@pytest.mark.parametrize("depth", [2, 3], ids=["rooms", "rooms of rooms"])
def test_no_room_imports_itself_by_way_of_others(depth: int) -> None:
    """The files of one room may import each other; other rooms between them would make a circle."""
    graph: dict[str, set[str]] = defaultdict(set)
    for name, found in graph_of_modules().items():
        own = room_of(name, depth)
        graph[own] |= {room_of(other, depth) for other in found} - {own}
    assert circles(graph) == []
