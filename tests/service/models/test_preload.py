"""A model that is preloaded is there, and warm, once the real service says that it is ready."""

from __future__ import annotations

from tests.service.routes.test_captioning import error
from tests.support.serving import API_KEY, Service


def test_a_preloaded_model_was_loaded_and_warmed_before_the_service_was_ready(everything: Service) -> None:
    log = everything.log.read_text()
    assert "warmed up blip" in log
    models = everything.client.get("/api/admin/models", headers={"X-API-Key": API_KEY}).json()["models"]
    assert (models["blip"]["state"], models["blip"]["warm"], models["blip"]["preloaded"]) == ("ready", True, True)
    assert [models[name]["pinned"] for name in ("blip", "gemma", "moondream")] == [True, True, False]
    assert models["moondream"]["preloaded"] is None
    ready = everything.client.get("/readyz", params={"model": "blip"})
    assert (ready.status_code, ready.json()) == (200, {"status": "ready"})
    assert error(everything.client.get("/readyz", params={"model": "clip"})) == (422, "unknown_model")


def test_a_model_that_is_loaded_by_hand_is_ready_at_once(everything: Service) -> None:
    loaded = everything.client.post("/api/admin/models/moondream/load", headers={"X-API-Key": API_KEY})
    assert (loaded.status_code, loaded.json()["warm"]) == (200, True)
    assert everything.client.get("/readyz", params={"model": "moondream"}).status_code == 200
