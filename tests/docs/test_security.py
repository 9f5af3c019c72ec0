"""The threat model names a test for each protection, and there is one of that name."""

from __future__ import annotations

import ast
import re

import pytest

from looksee.settings import tables
from tests.support.serving import ROOT

PAGE = (ROOT / "docs/security.md").read_text()
NAMED = re.findall(r"`(tests/[\w/]+\.py)::(\w+)`", PAGE)


def test_every_threat_has_a_test() -> None:
    table = PAGE.partition("| threat | protection |")[2].partition("\n\n")[0].splitlines()[2:]
    assert len(table) > 15
    for line in table:
        assert re.search(r"\| `tests/\S+::\w+` \|$", line), line


@pytest.mark.parametrize(("file", "name"), NAMED)
def test_the_test_is_there(file: str, name: str) -> None:
    functions = ast.parse((ROOT / file).read_text()).body
    assert name in {one.name for one in functions if isinstance(one, ast.FunctionDef)}


def test_the_settings_are_there() -> None:
    known = {name for name, _, _ in tables.rows()}
    assert set(re.findall(r"`(LOOKSEE_[A-Z_]*[A-Z])`", PAGE)) - {"LOOKSEE_CLIENT_KEY"} <= known
