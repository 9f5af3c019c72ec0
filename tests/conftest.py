"""Fixtures that several test modules share."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.serving import Service, serve


@pytest.fixture(scope="session")
def service() -> Iterator[Service]:
    """The real service with sample weights and a real Redis, shared by all tests that leave it as it was."""
    with serve() as running:
        yield running
