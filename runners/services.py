"""The BentoML service of each model's runner, made from the registry."""

from __future__ import annotations

from typing import Any

import bentoml
from _bentoml_sdk import Service

from looksee.models.registry import ModelSpec, served
from looksee.settings import settings
from runners.runner_service import SERVICE, RunnerService
from runners.service_resources import declare

_CALL_SECONDS = 120  # beside a load


def runner_services() -> dict[str, Service[Any]]:
    """A service for each model that there is, by the model's name. Their classes are new ones at each call."""
    return {name: declare(_service(spec), spec) for name, spec in served().items()}


def _service(spec: ModelSpec) -> Service[Any]:
    members = {"model": spec.name, "__doc__": spec.description, "__module__": __name__}
    cls = type(spec.service_name, (RunnerService,), members)
    # That a call of the gateway may take: a load, and then the answer. The gateway has ended its requests by then.
    seconds = _CALL_SECONDS + settings().load_wait_seconds
    made: Service[Any] = bentoml.service(name=spec.service_name, **SERVICE, traffic={"timeout": seconds})(cls)
    return made
