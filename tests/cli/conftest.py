"""The service of the tests about folders."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.cli.in_process import FakeService, answering


@pytest.fixture
def fake(monkeypatch: pytest.MonkeyPatch) -> Iterator[FakeService]:
    with answering(monkeypatch) as running:
        yield running
