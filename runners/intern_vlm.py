"""The InternVL3 runner."""

from __future__ import annotations

import bentoml

from runners.runner_service import SERVICE, RunnerService


@bentoml.service(name="InternVlm", **SERVICE)
class InternVlm(RunnerService):
    """Captions pictures, alone and together, and answers questions about them with InternVL3."""

    model = "intern_vlm"
