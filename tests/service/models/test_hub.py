"""The service with published weights: fetched from a hub (of our own) on the first request."""

from __future__ import annotations

import time
from pathlib import Path

from looksee.models.registry import REGISTRY
from looksee.models.weights.source import SAMPLES
from tests.support.hub import Repository, serving
from tests.support.pictures import scene
from tests.support.serving import serve

BLIP = REGISTRY["blip"]


def test_weights_are_fetched_by_the_first_caption_and_kept(tmp_path: Path) -> None:
    picture, caption = scene("hub")
    files = {"images": ("a.png", picture)}
    repository = Repository.of(SAMPLES / "blip", BLIP.revision)
    repository.opened_by = "hf_right"
    env = {
        "LOOKSEE_LOAD_RETRY_SECONDS": "1",
        "LOOKSEE_BLIP_WEIGHTS": "hub",
        "HF_HOME": str(tmp_path),
        "HF_HUB_DISABLE_XET": "1",
    }
    with serving({BLIP.hub_id: repository}) as hub:
        with serve(**env, HF_ENDPOINT=hub.url, HF_TOKEN="hf_old") as service:
            assert service.client.get("/v1/models/blip").json()["weights"] == "hub"
            assert not hub.requests, "nothing is fetched before it is needed"
            answer = service.client.post("/api/caption-images?model=blip", files=files)
            assert answer.status_code == 503
            assert answer.headers["Retry-After"]
            error = answer.json()["error"] if "error" in answer.json() else answer.json()["results"][0]["error"]
            assert error["code"] == "weights_unavailable"
            for part in (f"{hub.url}/{BLIP.hub_id}", "HF_TOKEN", "LOOKSEE_BLIP_WEIGHTS"):
                assert part in error["message"]
            assert "hf_old" not in answer.text + service.log.read_text()
            repository.opened_by = None  # the licence was accepted
            end = time.monotonic() + 40
            while answer.status_code != 200 and time.monotonic() < end:
                time.sleep(0.5)
                answer = service.client.post("/api/caption-images?model=blip", files=files)
            assert answer.status_code == 200, answer.text
            (result,) = answer.json()["results"]
            assert (result["caption"], result["weights"], result["cache"]) == (caption, "hub", False)
            assert result["revision"] == BLIP.revision
            (again,) = service.client.post("/api/caption-images?model=blip", files=files).json()["results"]
            assert again["cache"] is True, "a commit's answers are kept"
        assert sum(one.sent for one in hub.downloads()) == (SAMPLES / "blip" / "model.safetensors").stat().st_size
    # The hub is gone, and another service has what was fetched.
    with serve(**env, HF_HUB_OFFLINE="1") as service:
        (result,) = service.client.post("/api/caption-images?model=blip", files=files).json()["results"]
        assert (result["caption"], result["revision"]) == (caption, BLIP.revision)
