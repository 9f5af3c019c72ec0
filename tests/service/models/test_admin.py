"""What the admin routes tell of the models and of the cache."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from looksee.models.registry import REGISTRY
from tests.service.routes.test_captioning import error, post
from tests.support import pictures
from tests.support.serving import API_KEY, Service

KEY = {"X-API-Key": API_KEY}
ROUTES = [("GET", "models"), ("GET", "cache"), ("POST", "models/blip/load"), ("POST", "models/blip/unload")]


def told(service: Service, what: str) -> dict[str, Any]:
    response = service.client.get(f"/api/admin/{what}", headers=KEY)
    assert response.status_code == 200
    body: dict[str, Any] = response.json()
    return body


@pytest.mark.parametrize(("method", "route"), ROUTES)
def test_they_ask_for_the_key(service: Service, method: str, route: str) -> None:
    assert error(service.client.request(method, f"/api/admin/{route}")) == (401, "missing_key")
    wrong = service.client.request(method, f"/api/admin/{route}", headers={"X-API-Key": "wrong"})
    assert error(wrong) == (403, "wrong_key")


def test_every_model_is_described(service: Service) -> None:
    result = post(service, ("a.png", pictures.scene("admin")[0])).json()["results"][0]
    body = told(service, "models")
    assert body["capacity"] == 1
    assert list(body["models"]) == list(REGISTRY)
    blip = body["models"]["blip"]
    assert (blip["state"], blip["device"], blip["error"]) == ("ready", "cpu", None)
    assert (blip["revision"], blip["weights"]) == (result["revision"], "sample")
    assert (blip["in_flight"], blip["queued"]) == (0, 0)
    assert 2**26 < blip["memory_bytes"] < 2**32
    assert datetime.now(UTC) - datetime.fromisoformat(blip["last_use"]) < timedelta(minutes=1)


def test_the_cache_is_described(service: Service) -> None:
    service.client.post("/api/admin/reset-cache", headers=KEY)
    before = told(service, "cache")
    assert (before["redis"], before["entries"], before["bytes"]) == ("up", 0, 0)
    files = [("a.png", pictures.scene(f"counted-{number}")[0]) for number in range(3)]
    post(service, *files, files[0])  # the fourth is the first again, and computed once
    post(service, *files)
    after = told(service, "cache")
    assert after["entries"] == 3
    assert 300 < after["bytes"] < 3000
    assert {name: after[name] - before[name] for name in ("hits", "misses", "coalesced")} == {
        "hits": 3,
        "misses": 3,
        "coalesced": 1,
    }


def test_a_name_that_is_no_models_is_refused_before_it_is_counted(service: Service) -> None:
    for path, code in (
        ("/api/admin/models/gpt/load", "model_not_found"),
        ("/api/admin/models/blip2x/unload", "model_not_found"),
        ("/api/admin/models/blip/reload", "not_found"),
    ):
        assert error(service.client.post(path, headers=KEY)) == (404, code)
        assert service.metric("bentoml_service_request_total", endpoint=path, service_name="Looksee") == 0
