"""The rooms of the Moondream package import one way, so that each can be read without the later ones."""

from __future__ import annotations

import ast
from pathlib import Path

import pytest

from looksee.models import moondream

FOLDER = Path(moondream.__path__[0])
ORDER = ("config", "sequence_items", "network", "crops", "prefixes")  # each may import itself and those before it


def imported(file: Path) -> set[str]:
    """The first names below the package that a module of it imports."""
    prefix, found = f"{moondream.__name__}.", set()
    for node in ast.walk(ast.parse(file.read_text())):
        names = [alias.name for alias in node.names] if isinstance(node, ast.Import | ast.ImportFrom) else []
        if isinstance(node, ast.ImportFrom):
            names = [f"{node.module}.{name}" for name in names]
        found |= {name.removeprefix(prefix).partition(".")[0] for name in names if name.startswith(prefix)}
    return found


@pytest.mark.parametrize("room", ORDER)
def test_a_room_imports_only_itself_and_earlier_ones(room: str) -> None:
    files = list((FOLDER / room).rglob("*.py")) or [FOLDER / f"{room}.py"]
    for file in files:
        assert imported(file) <= set(ORDER[: ORDER.index(room) + 1]), file


def test_imports_are_found() -> None:
    assert "network" in imported(FOLDER / "crops" / "encoder.py")
    assert {"network", "crops", "prefixes"} <= imported(FOLDER / "model.py")
