"""How pods of models are scaled: by metrics that the service has, to zero and back."""

from __future__ import annotations

import re
from typing import Any

from prometheus_client import REGISTRY as METRICS

import looksee.engine.metrics
from looksee.gateway import demand
from looksee.models.registry import REGISTRY
from tests.deploy.conftest import Objects

assert looksee.engine.metrics  # makes the runners' metrics when it is imported


def scaled(objects: Objects) -> dict[str, dict[str, Any]]:
    """The specs by the Deployments that they scale."""
    return {each["spec"]["scaleTargetRef"]["name"]: each["spec"] for each in objects if each["kind"] == "ScaledObject"}


def triggers(spec: dict[str, Any]) -> dict[str, dict[str, str]]:
    return {each["name"]: each["metadata"] for each in spec["triggers"]}


def test_each_model_is_scaled_by_rows_that_wait_and_by_what_a_pod_takes(whole: Objects) -> None:
    found = scaled(whole)
    deployments = {each["metadata"]["name"]: each for each in whole if each["kind"] == "Deployment"}
    assert found.keys() == deployments.keys() - {"looksee-gateway", "looksee-redis"}
    for name, model in REGISTRY.items():
        target = f"looksee-{name.replace('_', '-')}"
        assert "replicas" not in deployments[target]["spec"], "an upgrade would undo what was scaled"
        asked = triggers(found[target])
        series = f'{{namespace="vision",model="{name}"}}'
        assert asked["waiting"]["query"] == f"sum(looksee_rows_waiting{series})"
        assert asked["taken"]["query"] == f"sum(looksee_rows_running{series}) + sum(looksee_rows_waiting{series})"
        assert float(asked["taken"]["threshold"]) == 0.75 * model.settings().max_batch_rows
    assert deployments["looksee-gateway"]["spec"]["replicas"] == 2


def test_a_model_without_pods_is_started_by_what_gateways_had_for_it(whole: Objects) -> None:
    found = scaled(whole)
    assert found["looksee-moondream"]["minReplicaCount"] == 0
    asked = triggers(found["looksee-moondream"])["asked"]
    assert asked["query"] == 'sum(increase(looksee_jobs_total{namespace="vision",model="moondream"}[300s]))'
    assert asked["activationThreshold"] == "0"
    assert "asked" not in triggers(found["looksee-gemma"]), "it keeps a pod"
    assert all(spec["fallback"]["replicas"] == 1 for spec in found.values()), "while Prometheus does not answer"


def test_every_metric_of_a_query_is_one_that_the_service_has(whole: Objects) -> None:
    demand.offer(["moondream"])
    known = {f"{metric.name}_total" if metric.type == "counter" else metric.name for metric in METRICS.collect()}
    queries = [metadata["query"] for spec in scaled(whole).values() for metadata in triggers(spec).values()]
    named = {name for query in queries for name in re.findall(r"looksee_\w+", query)}
    assert len(named) == 3
    assert named <= known
