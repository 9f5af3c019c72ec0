"""Every model with its sample weights, loaded once for the modules of this folder."""

from __future__ import annotations

from typing import Any

import pytest

from looksee.models.loading import load
from looksee.models.registry import REGISTRY
from looksee.models.weights.source import SAMPLES


@pytest.fixture(scope="package", params=REGISTRY)
def model(request: pytest.FixtureRequest) -> Any:
    made: Any = load(request.param, SAMPLES / request.param, device="cpu", dtype="float32")
    made.name = request.param
    return made
