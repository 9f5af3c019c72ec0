"""`/v1/models`: the catalogue as OpenAI's clients read it."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest

from looksee.models.registry import REGISTRY
from tests.support.serving import Service


def test_the_list_is_the_catalogue(service: Service) -> None:
    answer = service.client.get("/v1/models")
    assert answer.status_code == 200
    content = answer.json()
    assert content["object"] == "list"
    assert [model["id"] for model in content["data"]] == list(REGISTRY)
    for model in content["data"]:
        entry = REGISTRY[model["id"]]
        assert model["object"] == "model"
        assert datetime.fromtimestamp(model["created"], UTC).date() == entry.since
        assert model["owned_by"] == entry.hub_id.split("/")[0]
        for member in ("title", "hub_id", "revision", "licence", "gated", "parameters", "bf16_bytes"):
            assert model[member] == getattr(entry, member), member
        assert model["tasks"] == sorted(entry.tasks)
        assert model["weights"] == "sample"
        assert model["continues_prompt"] is (model["id"] in ("blip", "blip2"))
        assert model["lengths"] == (["short", "normal", "long"] if model["id"] == "moondream" else ["normal"])


@pytest.mark.parametrize("name", REGISTRY)
def test_one_of_them(name: str, service: Service) -> None:
    answer = service.client.get(f"/v1/models/{name}")
    assert answer.status_code == 200
    assert answer.json() == next(one for one in service.client.get("/v1/models").json()["data"] if one["id"] == name)


@pytest.mark.parametrize("name", ["gpt-4o", "BLIP", "blip%20"])
def test_one_that_there_is_not(name: str, service: Service) -> None:
    answer = service.client.get(f"/v1/models/{name}")
    assert answer.status_code == 404
    content = answer.json()
    assert content["error"]["code"] == "model_not_found"
    assert content["error"]["param"] == "model"
    assert ", ".join(REGISTRY) in content["detail"]


def test_both_are_in_the_document(service: Service) -> None:
    paths = service.client.get("/openapi.json").json()["paths"]
    for path in ("/v1/models", "/v1/models/{name}"):
        assert "200" in paths[path]["get"]["responses"]
    assert service.client.post("/v1/models").status_code == 405
