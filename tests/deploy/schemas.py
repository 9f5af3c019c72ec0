"""The schemas of Kubernetes and KEDA, from packages, and of a ServiceMonitor. Nothing unknown passes."""

from __future__ import annotations

import functools
import importlib.util
import json
import re
from pathlib import Path
from typing import Any

import jsonschema
import pytest
from referencing import Registry, Resource

OLDEST, NEWEST = "1.27.0", "1.37.0"  # of Kubernetes: what the chart says it needs, and the latest that is known here

_STRINGS = {"type": "object", "additionalProperties": {"type": "string"}}
# What of a ServiceMonitor is used here, as its documentation has it.
_SERVICE_MONITOR: dict[str, Any] = {
    "type": "object",
    "required": ["apiVersion", "kind", "metadata", "spec"],
    "properties": {
        "apiVersion": {"const": "monitoring.coreos.com/v1"},
        "kind": {"const": "ServiceMonitor"},
        "metadata": {
            "type": "object",
            "required": ["name"],
            "properties": {"name": {"type": "string"}, "labels": _STRINGS},
        },
        "spec": {
            "type": "object",
            "required": ["endpoints", "selector"],
            "properties": {
                "selector": {"type": "object", "properties": {"matchLabels": _STRINGS}},
                "namespaceSelector": {
                    "type": "object",
                    "properties": {"matchNames": {"type": "array", "items": {"type": "string"}}},
                },
                "endpoints": {
                    "type": "array",
                    "items": {
                        "type": "object",
                        "properties": {
                            "port": {"type": "string"},
                            "path": {"type": "string"},
                            "interval": {"type": "string", "pattern": r"^\d+(ms|s|m)$"},
                            "authorization": {
                                "type": "object",
                                "properties": {
                                    "type": {"type": "string"},
                                    "credentials": {
                                        "type": "object",
                                        "required": ["key"],
                                        "properties": {"name": {"type": "string"}, "key": {"type": "string"}},
                                    },
                                },
                            },
                        },
                    },
                },
            },
        },
    },
}


def complaints(found: dict[str, Any], kubernetes: str = NEWEST) -> list[str]:
    """What is wrong with an object, by where; empty where nothing is."""
    version, kind = found["apiVersion"], found["kind"]
    if version == "keda.sh/v1alpha1":
        validator = _of_keda(kind)
    elif version == "monitoring.coreos.com/v1":
        validator = jsonschema.Draft202012Validator(_closed(_SERVICE_MONITOR))
    else:
        validator = _of_kubernetes(version, kind, kubernetes)
    return [f"{kind} {error.json_path}: {error.message}" for error in validator.iter_errors(found)]


@functools.cache
def _of_kubernetes(version: str, kind: str, kubernetes: str) -> Any:
    group = re.sub(r"^([^./]*)(?:\.[^/]*)?/", r"\1-", version)
    schema = _file(kubernetes, f"{kind.lower()}-{group}.json")
    return jsonschema.Draft202012Validator(schema, registry=_definitions(kubernetes))


@functools.cache
def _definitions(kubernetes: str) -> Any:
    return Resource.from_contents(_file(kubernetes, "_definitions.json")) @ Registry()


def _file(kubernetes: str, name: str) -> Any:
    found = importlib.util.find_spec("kubernetes_validate")  # its schemas alone: its code needs further packages
    if found is None or found.origin is None:
        pytest.skip("needs kubernetes-validate, which `make setup` installs")
    folder = Path(found.origin).parent / "kubernetes-json-schema" / f"v{kubernetes}-local-strict"
    return json.loads((folder / name).read_text())


@functools.cache
def _of_keda(kind: str) -> Any:
    """Its package has classes made from the definitions of KEDA 2.16."""
    pytest.importorskip("cloudcoil", reason="needs cloudcoil-models-keda, which `make setup` installs")
    cls = getattr(importlib.import_module("cloudcoil.models.keda.v1alpha1"), kind)
    return jsonschema.Draft202012Validator(_closed(cls.model_json_schema(by_alias=True)))


def _closed(schema: Any) -> Any:
    """The schema without room for members that it does not name."""
    if isinstance(schema, list):
        return [_closed(one) for one in schema]
    if not isinstance(schema, dict):
        return schema
    closed = {name: _closed(one) for name, one in schema.items()}
    if "properties" in closed and closed.get("type") == "object":
        closed.setdefault("additionalProperties", False)
    return closed
