"""The Moondream2 runner."""

from __future__ import annotations

import bentoml

from runners.runner_service import SERVICE, RunnerService


@bentoml.service(name="Moondream", **SERVICE)
class Moondream(RunnerService):
    """Captions pictures, answers questions about them, and finds things in them with Moondream2."""

    model = "moondream"
