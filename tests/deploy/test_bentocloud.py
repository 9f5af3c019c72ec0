"""What BentoCloud reads: each service says what it needs, and a file how many there are of it."""

from __future__ import annotations

from typing import Any

import attrs
import pytest
import yaml
from _bentoml_impl.server.allocator import ResourceAllocator
from bentoml._internal.cloud.schemas.modelschemas import DeploymentServiceConfig, DeploymentTargetHPAConf
from bentoml._internal.cloud.schemas.schemasv2 import CreateDeploymentSchema
from bentoml._internal.utils.cattr import bentoml_cattr

from deploy import manifests
from looksee.models.registry import REGISTRY
from looksee.serving import bentoml_patches
from runners.services import runner_services


def test_each_runner_says_what_it_needs() -> None:
    for name, service in runner_services().items():
        config: Any = service.config
        assert config["resources"] == {"cpu": "2", "memory": f"{REGISTRY[name].host_gib}Gi", "gpu": 1}
        assert config["traffic"]["concurrency"] == REGISTRY[name].settings().max_batch_rows
        assert config["traffic"]["timeout"] >= 120


def test_gpus_are_not_handed_out_among_the_services_of_a_host(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("CUDA_VISIBLE_DEVICES", raising=False)
    monkeypatch.delenv("BENTOML_DISABLE_GPU_ALLOCATION", raising=False)
    monkeypatch.setattr("bentoml._internal.resource.NvidiaGpuResource.from_system", lambda: [0, 1])
    runner = runner_services()["blip"]

    def given() -> dict[str, str]:
        found: dict[str, str] = ResourceAllocator().get_worker_env(runner, {runner.name: runner.config})[1]
        return found

    assert given() == {"CUDA_VISIBLE_DEVICES": "0"}, "what BentoML does by itself"
    bentoml_patches.leave_gpus_to_settings()
    assert given() == {}


def test_bentocloud_takes_the_file() -> None:
    found = yaml.safe_load(manifests.BENTOCLOUD.read_text())
    sent = bentoml_cattr.structure({**found, "bento": "looksee:latest"}, CreateDeploymentSchema)
    assert sent.name == "looksee"
    assert sent.services.keys() == {"Looksee", *(spec.service_name for spec in REGISTRY.values())}
    fewest = {name: service.scaling and service.scaling.min_replicas for name, service in sent.services.items()}
    assert (fewest["Looksee"], fewest["Blip"]) == (1, 0)
    # It ignores what it does not know.
    for service in found["services"].values():
        assert service.keys() <= {field.name for field in attrs.fields(DeploymentServiceConfig)}
        assert service["scaling"].keys() <= {field.name for field in attrs.fields(DeploymentTargetHPAConf)}
