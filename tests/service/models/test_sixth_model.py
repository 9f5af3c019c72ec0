"""A model is its registry entry: one that is registered, and nothing else, is served like the five."""

from __future__ import annotations

import base64
import json
import subprocess
import sys
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import httpx
import pytest

from tests.support import pictures
from tests.support.serving import API_KEY, ROOT, Service, serve, without

# As in `tests.support.sixth_model`, which is not imported here: this process has five models.
NAME, DEFAULT = "speller", "a word"
COMMAND = (sys.executable, "-m", "bentoml", "serve", "tests.support.sixth_model:Looksee", "--port", "{port}")


@pytest.fixture(scope="module")
def sixth(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Service]:
    """The service with the sixth model, whose weights are a directory; the five are left out."""
    weights = tmp_path_factory.mktemp("weights")
    (weights / "config.json").write_text("{}")
    own = {"LOOKSEE_SPELLER_WEIGHTS": str(weights), "LOOKSEE_SPELLER_MAX_BATCH_ROWS": "1"}
    with serve(*COMMAND, **without("blip", "blip2", "gemma", "intern_vlm", "moondream"), **own) as running:
        yield running


def picture(seed: int = 0) -> str:
    return base64.b64encode(pictures.scene(seed)[0]).decode()


def asked(service: Service, path: str, **body: Any) -> dict[str, Any]:
    answer = service.client.post(path, json={"model": NAME, **body})
    assert answer.status_code == 200, answer.text
    found: dict[str, Any] = answer.json()
    return found


def test_it_is_served_in_every_dialect_and_cached(sixth: Service) -> None:
    first = asked(sixth, "/caption", image=picture())
    assert (first["caption"], first["model"], first["weights"], first["cache"]) == (DEFAULT, NAME, "local", False)
    assert asked(sixth, "/caption", image=picture())["cache"]
    assert asked(sixth, "/caption", image=picture(), prompt="a cat")["caption"] == "a cat"
    assert asked(sixth, "/query", image=picture(), question="me")["answer"] == "spell me"
    url = f"data:image/png;base64,{picture()}"
    assert asked(sixth, "/v1/query", image_url=url, question="me")["answer"] == "spell me"
    words: list[dict[str, Any]] = [
        {"type": "image_url", "image_url": {"url": url}},
        {"type": "text", "text": "me"},
    ]
    chat = asked(sixth, "/v1/chat/completions", messages=[{"role": "user", "content": words}])
    assert chat["choices"][0]["message"]["content"] == "spell me"
    files = {"images": ("a.png", base64.b64decode(picture()))}
    answer = sixth.client.post(f"/api/caption-images?model={NAME}&caption_prompt=a+dog", files=files)
    assert [one["caption"] for one in answer.json()["results"]] == ["a dog"]
    lines = sixth.client.post("/v1/batch", json={"model": NAME, "items": [{"image": picture(), "prompt": "a bee"}]})
    assert json.loads(lines.text.splitlines()[0])["caption"] == "a bee"


def test_it_is_listed_and_documented(sixth: Service) -> None:
    listed = {one["id"]: one for one in sixth.client.get("/v1/models").json()["data"]}
    assert list(listed)[-1] == NAME
    assert (listed[NAME]["title"], listed[NAME]["tasks"]) == ("Speller", ["caption", "query"])
    states = sixth.client.get("/api/admin/models", headers={"X-API-Key": API_KEY}).json()
    assert NAME in json.dumps(states)
    assert NAME in sixth.client.get("/health").text
    document = sixth.client.get("/openapi.json").text
    assert f'"{NAME}"' in document
    assert "rows_waiting" in sixth.client.get("/metrics").text
    code = (
        "import tests.support.sixth_model; from looksee.settings import tables as settings;"
        "from tools.documents import tables; print(settings.markdown(), tables.models())"
    )
    printed = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True).stdout
    assert "`LOOKSEE_SPELLER_MAX_BATCH_LETTERS` | `64`" in printed
    assert f"| `{NAME}` | [`tests/speller`](https" in printed


def test_it_is_refused_what_it_cannot_do(sixth: Service) -> None:
    answer = sixth.client.post("/detect", json={"image": picture(), "object": "cat", "model": NAME})
    assert (answer.status_code, answer.json()["error"]["code"]) == (400, "task_not_supported")
    answer = sixth.client.post("/caption", json={"image": picture(), "model": NAME, "length": "long"})
    assert answer.json()["error"]["code"] == "task_not_supported"
    answer = sixth.client.post("/caption", json={"image": picture(), "model": NAME, "prompt": "x" * 65})
    assert answer.status_code == 413, "more than the batch may cost"


def test_its_limits_hold(sixth: Service) -> None:
    def rows(number: int) -> float:
        body = {"image": picture(), "model": NAME, "prompt": f"number {number}"}
        answer = httpx.post(f"{sixth.url}/caption", json=body, timeout=60)
        assert answer.json()["caption"] == f"number {number}"
        (batch,) = [part for part in answer.headers["server-timing"].split(", ") if part.startswith("batch")]
        return float(batch.partition('"')[2].rstrip('"'))

    with ThreadPoolExecutor(8) as pool:
        assert set(pool.map(rows, range(16))) == {1.0}, "one row at a time, as it is set"


def test_the_five_do_not_know_it(service: Service) -> None:
    assert NAME not in service.client.get("/v1/models").text
    assert Path(ROOT, "looksee").is_dir()
    found = subprocess.run(["grep", "-rl", NAME, "looksee", "runners", "cache", "service.py"], cwd=ROOT, check=False)
    assert found.returncode == 1, "no other file of the product names it"
