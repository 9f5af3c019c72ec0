"""What the fault suite measures, kept for `docs/reliability.md`.

`make reliability` sets FAULTS_FOLDER to a folder: each fault's row is written there and then put into `RECORDED`.
"""

from __future__ import annotations

import json
import os
from dataclasses import asdict, dataclass
from pathlib import Path

import pytest

from tests.faults.callers import CUT_OFF, Seen

FOLDER = "FAULTS_FOLDER"


@dataclass(frozen=True)
class FaultRow:
    """One fault: what it is, how callers' requests ended, the longest one, and when the service answered again."""

    name: str
    seen: str
    longest: float | None  # seconds
    again: float | None  # seconds
    wrong: int | None
    test: str


class Recorder:
    """Of one test."""

    def __init__(self, test: str) -> None:
        self._test = test

    def __call__(
        self, name: str, seen: Seen | str, *, again: float | None = None, wrong: list[str] | None = None
    ) -> None:
        """Note what was measured under the fault `name`. Fails the test for any wrong answer."""
        assert not wrong
        if isinstance(seen, Seen):
            row = FaultRow(name, shown(seen), round(seen.longest, 1), again, len(wrong or []), self._test)
        else:
            row = FaultRow(name, seen, None, again, None if wrong is None else 0, self._test)
        if folder := os.environ.get(FOLDER):
            file = Path(folder) / f"{name.replace('/', '-').replace(' ', '-')}.json"
            file.write_text(json.dumps(asdict(row)))


def shown(seen: Seen) -> str:
    """The ends of all requests in words."""
    parts = [
        f"{count} x {end}" for end, count in sorted(seen.ends.items(), key=lambda pair: (pair[0] == CUT_OFF, pair))
    ]
    return ", ".join(parts)


@pytest.fixture
def record(request: pytest.FixtureRequest) -> Recorder:
    return Recorder(request.node.nodeid.partition("[")[0])
