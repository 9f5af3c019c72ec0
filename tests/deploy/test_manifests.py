"""What of the manifests is made from the registry is what the registry says now."""

from __future__ import annotations

import pytest
import yaml

from deploy import manifests
from looksee.models.registry import REGISTRY


def test_the_manifests_are_current() -> None:
    """`make docs` renews them."""
    assert manifests.values(manifests.VALUES.read_text()) == manifests.VALUES.read_text()
    assert manifests.chart(manifests.CHART.read_text()) == manifests.CHART.read_text()
    assert manifests.bentocloud() == manifests.BENTOCLOUD.read_text()


def test_each_model_has_values() -> None:
    found = yaml.safe_load(manifests.VALUES.read_text())["models"]
    assert found.keys() == REGISTRY.keys()
    assert [name for name, own in found.items() if own["enabled"]] == ["moondream"]
    assert found["intern_vlm"]["service"] == "InternVlm"


def test_the_values_are_printed(capsys: pytest.CaptureFixture[str]) -> None:
    manifests.main()
    assert yaml.safe_load(capsys.readouterr().out) == {"models": yaml.safe_load(manifests.VALUES.read_text())["models"]}


def test_values_without_a_place_for_models_are_refused() -> None:
    with pytest.raises(ValueError, match="there must be one line `models:`"):
        manifests.values("image: {}\n")
