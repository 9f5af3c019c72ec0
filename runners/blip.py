"""The BLIP runner."""

from __future__ import annotations

import bentoml

from runners.runner_service import SERVICE, RunnerService


@bentoml.service(name="Blip", **SERVICE)
class Blip(RunnerService):
    """Captions pictures with BLIP."""

    model = "blip"
