"""The fault table and the list of protections are about tests and code that there are."""

from __future__ import annotations

import ast
from functools import cache
from pathlib import Path

import pytest

from tests.faults import protections
from tests.faults.protections import PROTECTIONS, Protection
from tests.faults.recording import FaultRow
from tests.support.serving import ROOT
from tools.reliability import tables
from tools.reliability.protections import needed, passed

LEAST = 30
FOLDER = Path(__file__).parent


@cache
def functions_of(file: str) -> frozenset[str]:
    tree = ast.parse((ROOT / file).read_text())
    return frozenset(node.name for node in ast.walk(tree) if isinstance(node, ast.FunctionDef))


def exists(test: str) -> bool:
    file, _, name = test.partition("::")
    return name.partition("[")[0] in functions_of(file)


def measured() -> set[str]:
    """The faults that tests of this room record, by the text of their first argument, as far as it is one."""
    found = set()
    for file in FOLDER.rglob("test_*.py"):
        for node in ast.walk(ast.parse(file.read_text())):
            if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id == "record":
                name = node.args[0]
                if isinstance(name, ast.Constant):
                    found.add(str(name.value))
    return found


def test_every_fault_of_the_table_names_a_test_that_there_is() -> None:
    rows = [FaultRow(**row) for row in tables.recorded()["faults"]]
    assert len(rows) == len({row.name for row in rows})
    assert [row.name for row in rows if not exists(row.test)] == []
    assert [row.name for row in rows if row.wrong] == []


def test_every_fault_that_the_suite_makes_is_in_the_table() -> None:
    assert measured() - {row["name"] for row in tables.recorded()["faults"]} == set(), "run `make reliability`"


@pytest.mark.parametrize("one", PROTECTIONS, ids=lambda one: one.name.replace(" ", "-"))
def test_a_protection_is_where_the_list_says_and_has_its_test(one: Protection) -> None:
    assert (ROOT / one.file).read_text().count(one.old) == 1
    assert one.old != one.new
    assert exists(one.test)


def test_the_list_is_long_and_names_each_protection_once() -> None:
    assert len(PROTECTIONS) >= LEAST
    assert (
        len({one.name for one in PROTECTIONS}) == len({(one.file, one.old) for one in PROTECTIONS}) == len(PROTECTIONS)
    )


def test_a_protection_whose_test_does_not_need_it_is_noticed(tmp_path: Path) -> None:
    (tmp_path / "thing.py").write_text("def half(number):\n    return max(0, number) / 2\n")
    test = "from thing import half\n\ndef test_half():\n    assert half(4) == 2\n"
    (tmp_path / "test_thing.py").write_text(test)
    assert passed(tmp_path, ["test_thing.py"], seconds=60)
    kept = protections.Protection("no less than nothing", "thing.py", "max(0, number)", "number", "test_thing.py")
    assert not needed(tmp_path, kept)
    assert needed(tmp_path, protections.Protection("halves", "thing.py", " / 2", "", "test_thing.py"))
