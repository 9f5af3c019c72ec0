"""The Gemma 3 runner."""

from __future__ import annotations

import bentoml

from runners.runner_service import SERVICE, RunnerService


@bentoml.service(name="Gemma", **SERVICE)
class Gemma(RunnerService):
    """Captions pictures, alone and together, and answers questions about them with Gemma 3."""

    model = "gemma"
