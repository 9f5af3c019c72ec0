"""What `make audit` says of pip-audit's findings: fine only where everything was looked up."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from tools import audit

FINE: dict[str, Any] = {"name": "a", "version": "1", "vulns": []}
FLAWS = [{"id": "CVE-1", "fix_versions": ["2.1"]}, {"id": "X", "fix_versions": []}]
FLAWED = {"name": "b", "version": "2", "vulns": FLAWS}
SKIPPED = {"name": "c", "skip_reason": "not found"}


def test_no_flaws_are_fine() -> None:
    assert audit.verdict({"dependencies": [FINE]}) == (True, ["looksee: 0 known flaws in 1 of 1 locked packages"])


def test_a_flaw_is_told_with_the_version_that_mends_it() -> None:
    fine, lines = audit.verdict({"dependencies": [FINE, FLAWED]})
    assert not fine
    assert lines[:2] == ["b 2: CVE-1, mended in 2.1", "b 2: X, mended in no version"]


@pytest.mark.parametrize("count", [1, 9])
def test_what_could_not_be_looked_up_is_not_fine(count: int) -> None:
    fine, lines = audit.verdict({"dependencies": [FINE, *[SKIPPED] * count]})
    assert not fine
    assert lines[-1].startswith(f"looksee: {count} could not be looked up from here")


@pytest.mark.parametrize(
    ("program", "said"),
    [("/nowhere/uv", "uv cannot be run here: No such file"), ("/bin/false", "pip-audit cannot be run here: it says")],
)
def test_where_it_cannot_run_that_is_said(program: str, said: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(audit, "_UV", Path(program))
    fine, (line,) = audit.verdict(audit.report())
    assert not fine
    assert line.startswith(f"looksee: nothing was audited: {said}")


def test_an_empty_lock_is_not_fine() -> None:
    assert not audit.verdict({"dependencies": []})[0]
