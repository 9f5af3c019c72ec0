"""The engine's numbered invariants and the tests that cite them belong together."""

from __future__ import annotations

import ast
import io
import re
import tokenize
from pathlib import Path

ROOT = Path(__file__).parent.parent.parent
_STATED = re.compile(r"^I(\d+)\b", re.MULTILINE)
_CITED = re.compile(r"\bI(\d+)\b")


def stated() -> list[int]:
    """The numbers in the docstring of the engine, in their order."""
    docstring = ast.get_docstring(ast.parse((ROOT / "looksee/engine/engine.py").read_text()))
    return [int(number) for number in _STATED.findall(docstring or "")]


def cited(folder: str) -> dict[int, set[Path]]:
    """The numbers in the comments and strings of a folder's modules, and where they are."""
    found: dict[int, set[Path]] = {}
    for file in (ROOT / folder).rglob("*.py"):
        for token in tokenize.generate_tokens(io.StringIO(file.read_text()).readline):
            if token.type in (tokenize.COMMENT, tokenize.STRING):
                for number in _CITED.findall(token.string):
                    found.setdefault(int(number), set()).add(file)
    return found


def test_the_invariants_are_numbered_from_one() -> None:
    assert len(stated()) > 1
    assert stated() == list(range(1, len(stated()) + 1))


def test_every_invariant_is_cited_by_a_test_and_no_other_number_is() -> None:
    found = cited("tests")
    assert [number for number in stated() if number not in found] == [], "an invariant without a test"
    assert {number: files for number, files in found.items() if number not in stated()} == {}


def test_the_engine_cites_only_its_invariants() -> None:
    assert set(cited("looksee/engine")) <= set(stated())
