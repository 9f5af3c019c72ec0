"""/readyz: once the preloaded models are there, and of single models."""

from __future__ import annotations

from typing import Any

import httpx
import pytest

from looksee.core.tasks import Failure
from tests.http.app import Doors, content, error
from tests.support.loops import run

PENDING = {"state": "loading", "preloaded": False}
DONE = {"warm": True, "preloaded": True}


def get(doors: Doors, path: str) -> httpx.Response:
    async def main() -> httpx.Response:
        transport = httpx.ASGITransport(doors.app, raise_app_exceptions=False)
        async with httpx.AsyncClient(transport=transport, base_url="http://looksee") as client:
            return await client.get(path)

    return run(main())


def said(answer: httpx.Response) -> str:
    assert error(answer)[:2] == (503, "model_not_ready")
    assert answer.headers["retry-after"] == "5"
    message: str = content(answer)["detail"]
    return message


def doors(preload: str = "", **described: dict[str, Any]) -> Doors:
    made = Doors(preload=preload)
    for name, status in described.items():
        made.proxies[name].reports = status
    return made


def test_without_preloaded_models_it_asks_nobody() -> None:
    made = doors(blip={"state": "failed"})
    assert content(get(made, "/readyz")) == {"status": "ready"}
    assert not any(proxy.asked for proxy in made.proxies.values())


def test_it_says_of_each_preloaded_model_why_it_is_not_there() -> None:
    broken = Failure("weights_unavailable", "The disk is away.")
    made = doors("blip,gemma,moondream", blip=DONE, gemma=PENDING, moondream={**PENDING, "state": "failed"})
    made.proxies["moondream"].reports["failure"] = broken
    assert said(get(made, "/readyz")) == "'gemma' is loading; 'moondream' could not be loaded (The disk is away.)."
    made.proxies["gemma"].status_troubles = [OSError()]
    made.proxies["moondream"].reports = DONE
    assert said(get(made, "/readyz")) == "The process of 'gemma' does not answer."
    made.proxies["gemma"].reports = DONE
    assert get(made, "/readyz").status_code == 200


def test_a_model_that_was_there_once_takes_nobody_away() -> None:
    made = doors("blip,gemma", blip=DONE, gemma=PENDING)
    assert said(get(made, "/readyz")) == "'gemma' is loading."
    made.proxies["blip"].reports = {"state": "failed"}
    made.proxies["gemma"].reports = {"state": "unloaded", "preloaded": True}  # it made room already
    assert get(made, "/readyz").status_code == 200
    assert made.calls("blip") == made.calls("gemma") == [[]]  # the way to each was gone once, without a job
    asked = made.proxies["gemma"].asked
    assert get(made, "/readyz").status_code == 200
    assert made.proxies["gemma"].asked == asked


def test_a_runner_that_preloads_nothing_is_told() -> None:
    made = doors("blip", blip={"state": "unloaded", "preloaded": None})
    assert said(get(made, "/readyz")) == "'blip' is not loaded, and LOOKSEE_PRELOAD of its runner does not name it."
    made.proxies["blip"].reports = {"warm": True}  # somebody asked
    assert get(made, "/readyz").status_code == 200


@pytest.mark.parametrize(
    ("status", "expected"),
    [
        ({"state": "unloaded"}, "'blip' is not loaded."),
        ({"state": "waiting"}, "'blip' waits for its turn to be loaded."),
        ({"state": "ready"}, "'blip' is loaded and has not answered yet."),
        ({"state": "unloaded", "preloaded": True}, "'blip' is not loaded."),
    ],
)
def test_a_single_model_is_loaded_and_warm_or_it_is_told_why_not(status: dict[str, Any], expected: str) -> None:
    assert said(get(doors(blip=status), "/readyz?model=blip")) == expected


def test_single_models_are_asked_for_by_any_name() -> None:
    made = doors("gemma", blip={"warm": True}, intern_vlm={"warm": True}, gemma=PENDING)
    for query in ("model=blip", "model=BLIP", "model=blip&model=intern_vlm", "model=OpenGVLab/InternVL3-1B-hf&t=1"):
        answer = get(made, f"/readyz?{query}")
        assert (answer.status_code, content(answer)) == (200, {"status": "ready"}), query
    assert said(get(made, "/readyz?model=blip&model=gemma")) == "'gemma' is loading."


@pytest.mark.parametrize("name", ["clip", "", "blip,gemma"])
def test_a_model_that_there_is_not_is_refused(name: str) -> None:
    assert error(get(doors(), f"/readyz?model={name}")) == (422, "unknown_model", "model")
