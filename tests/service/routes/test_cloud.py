"""`moondream-cloud` through the real service; a second Looksee, whose API is the same, plays the vendor."""

from __future__ import annotations

import base64
import json
from collections.abc import Iterator
from typing import Any

import moondream
import pytest

from looksee.models.registry import REGISTRY
from tests.support import pictures
from tests.support.serving import API_KEY, Service, serve
from tests.support.serving import CLIENT_KEY as KEY

CLOUD = "moondream-cloud"
DATA, CAPTION = pictures.scene("cloud", count=2)
IMAGE = base64.b64encode(DATA).decode()


@pytest.fixture(scope="module")
def vendor(keyed: Service) -> Service:
    return keyed


@pytest.fixture(scope="module")
def ours(vendor: Service) -> Iterator[Service]:
    """A service without a model of its own."""
    with serve(models=(), MOONDREAM_CLOUD_API_KEY=KEY, LOOKSEE_MOONDREAM_CLOUD_URL=f"{vendor.url}/v1") as ours:
        yield ours


def told(service: Service, path: str, **body: Any) -> Any:
    answer = service.client.post(path, json={"image": IMAGE, "model": CLOUD, **body})
    assert answer.status_code == 200, answer.text
    content = answer.json()
    assert (content["model"], content["weights"], content["cache"]) == (CLOUD, "cloud", False)
    return content


def test_every_door_leads_there(ours: Service) -> None:
    for _ in range(2):  # never from the cache
        assert told(ours, "/caption")["caption"] == CAPTION
    assert told(ours, "/query", question="How many shapes are there?")["answer"] == "two"
    detected = told(ours, "/detect", object="shape")
    assert (detected["count"], len(detected["detections"])) == (2, 2)
    assert told(ours, "/point", object="shape")["coordinates"]["count"] == 2
    short = ours.client.post("/upload/caption", files={"file": DATA}, data={"model": CLOUD, "length": "short"})
    assert (short.json()["caption"], short.json()["weights"]) == ("two shapes", "cloud")
    (line, _) = ours.client.post("/v1/batch", json={"items": [{"image": IMAGE, "model": CLOUD}]}).text.splitlines()
    assert json.loads(line)["caption"] == CAPTION
    assert set(ours.client.get("/health").json()["models"].values()) == {"unreachable"}


def test_a_stream_comes_through(ours: Service) -> None:
    body = {"image_url": IMAGE, "model": CLOUD, "length": "long", "stream": True}
    *chunks, last = (
        json.loads(line.removeprefix("data: "))
        for line in ours.client.post("/v1/caption", json=body).text.splitlines()
        if line
    )
    assert len(chunks) > 3
    assert "".join(chunk["chunk"] for chunk in chunks).startswith("a ")
    assert (last["completed"], last["weights"]) == (True, "cloud")


def test_the_vendors_own_client_asks_it_through_us(ours: Service) -> None:
    client: Any = moondream.vl(endpoint=f"{ours.url}/v1", model=CLOUD)
    assert client.query(question="Who?", settings={"max_tokens": 2})["answer"] is not None


def test_it_is_no_model_of_ours(ours: Service) -> None:
    assert [model["id"] for model in ours.client.get("/v1/models").json()["data"]] == list(REGISTRY)
    assert ours.client.get(f"/v1/models/{CLOUD}").status_code == 404
    assert list(ours.client.get("/health").json()["models"]) == list(REGISTRY)
    listed = ours.client.get("/api/admin/models", headers={"X-API-Key": API_KEY}).json()
    assert list(listed["models"]) == list(REGISTRY)


def test_a_key_that_the_vendor_refuses_is_not_the_callers_fault(vendor: Service) -> None:
    with serve(
        models=(), redis_url="", MOONDREAM_CLOUD_API_KEY="wr0ng", LOOKSEE_MOONDREAM_CLOUD_URL=f"{vendor.url}/v1"
    ) as service:
        answer = service.client.post("/caption", json={"image": IMAGE, "model": CLOUD})
        assert (answer.status_code, answer.json()["error"]["code"]) == (502, "cloud_key_refused")
        log = service.log.read_text()
    assert "MOONDREAM_CLOUD_API_KEY" in log
    assert "wr0ng" not in log


def test_without_a_key_nobody_knows_it(vendor: Service) -> None:
    answer = vendor.client.post("/caption", json={"image": IMAGE, "model": CLOUD}, headers={"X-API-Key": KEY})
    assert (answer.status_code, answer.json()["error"]["code"]) == (422, "unknown_model")
