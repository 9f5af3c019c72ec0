"""The BLIP runner."""

from __future__ import annotations

import bentoml

from runners.runner_service import SERVICE, Endpoint


@bentoml.service(name="Blip", **SERVICE)
class Blip(Endpoint):
    """Captions pictures with BLIP."""

    model = "blip"
