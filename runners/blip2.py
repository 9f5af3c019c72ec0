"""The BLIP-2 runner."""

from __future__ import annotations

import bentoml

from runners.runner_service import SERVICE, RunnerService


@bentoml.service(name="Blip2", **SERVICE)
class Blip2(RunnerService):
    """Captions pictures and answers questions about them with BLIP-2."""

    model = "blip2"
