"""The InternVL3 runner."""

from __future__ import annotations

from typing import Any

import bentoml

from models.weights import Source
from runners.endpoint import SERVICE, Endpoint
from settings import settings


@bentoml.service(name="InternVlm", **SERVICE)
class InternVlm(Endpoint):
    """Captions pictures, alone and together, and answers questions about them with InternVL3."""

    model = "intern_vlm"

    @staticmethod
    def options(source: Source) -> dict[str, Any]:
        # The sample weights have learnt from pictures in one tile.
        return {"max_tiles": settings().intern_vlm.max_tiles or (1 if source.kind == "sample" else 6)}
