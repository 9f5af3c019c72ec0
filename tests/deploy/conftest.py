"""Releases of the chart, each rendered once."""

from __future__ import annotations

import json
from typing import Any

import pytest

from looksee.models.registry import REGISTRY
from tests.deploy import helm

Objects = list[dict[str, Any]]

# What is off by default, on.
EVERYTHING: dict[str, Any] = {
    "autoscaling": {"enabled": True, "prometheus": "http://prometheus:9090", "authenticationRef": {"name": "reader"}},
    "serviceMonitor": {"enabled": True, "keyInSecret": "LOOKSEE_METRICS_KEY", "labels": {"release": "prometheus"}},
    "secret": "keys",
    "settings": {
        "LOOKSEE_MODEL_ALIASES": "gpt-4o=gemma",
        "LOOKSEE_PIN": "gemma",
        "LOOKSEE_MAX_QUEUE": 64,
        "DEBUG": False,
    },
    "weights": {"claim": {"enabled": True, "storageClass": "shared"}},
    "image": {"pullSecrets": [{"name": "registry"}]},
    "gateway": {
        "ingress": {"enabled": True, "className": "nginx", "host": "vision.example.org", "tlsSecret": "tls"},
        "annotations": {"example.org/team": "vision"},
        "tolerations": [{"key": "busy", "operator": "Exists"}],
    },
    "networkPolicy": {
        "clients": [{"namespaceSelector": {"matchLabels": {"asks": "yes"}}}],
        "monitoring": [{"namespaceSelector": {"matchLabels": {"name": "monitoring"}}}],
        "gatewayEgress": [{"ports": [{"protocol": "TCP", "port": 443}]}],
    },
    "place": {"nodeSelector": {"gpu": "yes"}, "tolerations": [{"key": "nvidia.com/gpu", "operator": "Exists"}]},
    "models": {
        **{name: {"enabled": True} for name in REGISTRY},
        "moondream": {"enabled": True, "scaling": {"min": 0}, "place": {"nodeSelector": {"gpu": "large"}}},
        "blip": {"enabled": True, "gpus": 0, "limits": {"memory": "4Gi"}, "settings": {"LOOKSEE_BLIP_DTYPE": "int8"}},
    },
}


@pytest.fixture(scope="session")
def plain() -> Objects:
    """With the values that the chart has."""
    return helm.rendered()


@pytest.fixture(scope="session")
def whole() -> Objects:
    """With all models, and everything on. It hides the suite's service of this name, which nothing here needs."""
    return helm.rendered(**{name: json.dumps(value) for name, value in EVERYTHING.items()})
