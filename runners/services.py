"""The BentoML service of each model's runner, made from the registry."""

from __future__ import annotations

from typing import Any

import bentoml
from _bentoml_sdk import Service

from looksee.models.registry import ModelSpec, served
from runners.runner_service import SERVICE, RunnerService


def runner_services() -> dict[str, Service[Any]]:
    """A service for each model that there is, by the model's name. Their classes are new ones at each call."""
    return {name: _service(spec) for name, spec in served().items()}


def _service(spec: ModelSpec) -> Service[Any]:
    members = {"model": spec.name, "__doc__": spec.description, "__module__": __name__}
    cls = type(spec.service_name, (RunnerService,), members)
    made: Service[Any] = bentoml.service(name=spec.service_name, **SERVICE | _cloud(spec))(cls)
    return made


def _cloud(spec: ModelSpec) -> dict[str, Any]:
    """What one instance of the service asks for, and how many calls at a time are meant for it.

    It is read by BentoCloud, which starts instances by it, and by nothing here: which GPU a model takes is its setting.
    """
    resources = {"cpu": "2", "memory": f"{spec.host_gib}Gi", "gpu": 1}
    return {
        "resources": resources,
        "traffic": {**SERVICE["traffic"], "concurrency": spec.settings().max_batch_rows},
    }
