"""A batch through the real service: right answers, a queue that it does not overflow, callers who leave."""

from __future__ import annotations

import base64
import json
import time
from typing import Any

import pytest

from tests.support import pictures
from tests.support.serving import Service


@pytest.fixture(scope="module")
def service(everything: Service) -> Service:
    return everything


def drawn(count: int, name: str) -> dict[str, tuple[str, str]]:
    """Pictures in base64 with their captions, by name."""
    made = {f"{number}.png": pictures.scene(f"{name}:{number}") for number in range(count)}
    return {file: (base64.b64encode(data).decode(), caption) for file, (data, caption) in made.items()}


def test_a_folder_through_a_short_queue(narrow: Service) -> None:
    """One model after the other, each just loaded, a bad file among them; all of it answered as it ends.

    The queue is far shorter than what a batch has under way, so that it needs the rows that do not run yet.
    """

    def refused() -> float:
        return narrow.metric("looksee_rows_dropped_total", reason="queue_full")

    before = refused()
    folder = drawn(40, "batch")
    items: list[dict[str, Any]] = [{"id": name, "image": name} for name in folder]
    items += [{"id": name, "image": name, "model": "blip"} for name in folder]
    items.append({"id": "notes.txt", "image": base64.b64encode(pictures.TEXT).decode()})
    body = {"images": {name: image for name, (image, _) in folder.items()}, "items": items}
    with narrow.client.stream("POST", "/v1/batch", json=body) as response:
        assert response.status_code == 200
        *lines, last = map(json.loads, response.iter_lines())
    assert last == {"done": True, "succeeded": 80, "failed": 1}
    assert sorted(line["index"] for line in lines) == list(range(81))
    good = [line for line in lines if line["status"] == 200]
    assert {(line["model"], line["weights"]) for line in good} == {("moondream", "sample"), ("blip", "sample")}
    right = [line["caption"] == folder[line["id"]][1] for line in good]
    assert sum(right) >= 76
    (bad,) = [line for line in lines if line["status"] != 200]
    assert (bad["id"], bad["status"], bad["error"]["code"]) == ("notes.txt", 415, "unsupported_image_type")
    # A runner takes as many jobs as its queue and its batch have together, whether their rows run by then or not.
    assert refused() == before
    again = narrow.client.post("/v1/batch", json=body).text.splitlines()
    assert sum(json.loads(line).get("cache", False) for line in again) == 80


def test_single_requests_come_through_beside_a_batch(service: Service) -> None:
    folder = drawn(1, "beside")
    ((image, caption),) = folder.values()
    asked = [{"image": "a", "task": "query", "question": "How many shapes are there?", "temperature": 0.01}] * 300
    with service.client.stream("POST", "/v1/batch", json={"images": {"a": image}, "items": asked}) as response:
        lines = response.iter_lines()
        next(lines)
        found = service.client.post("/caption", json={"image": image})
        left = sum(1 for _ in lines)
    assert found.json()["caption"] == caption
    assert left == 300


def test_who_leaves_takes_the_batch_along(service: Service) -> None:
    ((image, _),) = drawn(1, "leaving").values()
    asked = [{"image": "a", "length": "long", "temperature": 0.01}] * 2000
    with service.client.stream("POST", "/v1/batch", json={"images": {"a": image}, "items": asked}) as response:
        next(response.iter_lines())
    end = time.monotonic() + 20
    while service.metric("looksee_rows_running", model="moondream") and time.monotonic() < end:
        time.sleep(0.2)
    made = service.metric("looksee_batch_rows_count", model="moondream")
    time.sleep(1)
    assert service.metric("looksee_batch_rows_count", model="moondream") == made, "it is still at work"


def test_what_is_no_batch_is_refused(service: Service) -> None:
    refused = service.client.post("/v1/batch", content=b"{")
    assert (refused.status_code, refused.json()["error"]["code"]) == (400, "invalid_request")
    assert refused.headers["content-type"] == "application/json"
