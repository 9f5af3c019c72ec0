"""The InternVL3 runner."""

from __future__ import annotations

import bentoml

from runners.runner_service import SERVICE, Endpoint


@bentoml.service(name="InternVlm", **SERVICE)
class InternVlm(Endpoint):
    """Captions pictures, alone and together, and answers questions about them with InternVL3."""

    model = "intern_vlm"
