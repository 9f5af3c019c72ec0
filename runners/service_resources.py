"""What an instance of a runner's service needs. BentoCloud reads it and starts instances by it; nothing else does."""

from __future__ import annotations

from typing import Any

from _bentoml_sdk import Service

from looksee.models.registry import ModelSpec


def declare(service: Service[Any], spec: ModelSpec) -> Service[Any]:
    """The service, which says now what it needs and how many calls at a time are meant for one instance.

    Which GPU a model takes on a host is its setting: `bentoml_patches.leave_gpus_to_settings`.
    """
    service.config["resources"] = {"cpu": "2", "memory": f"{spec.host_gib}Gi", "gpu": 1}
    service.config.setdefault("traffic", {})["concurrency"] = spec.settings().max_batch_rows
    return service
