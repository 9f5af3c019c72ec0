"""The service that the pages' examples are run against."""

from __future__ import annotations

import pytest

from tests.support.serving import Service


@pytest.fixture(scope="module")
def service(everything: Service) -> Service:
    return everything
