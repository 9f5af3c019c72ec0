"""The key between gateways and runners, and what never reaches a runner over a network."""

from __future__ import annotations

import json
from typing import Any

import httpx
import pytest
from starlette.types import ASGIApp, Receive, Scope, Send

from runners.guarding.key_guard import KeyGuard
from runners.services import runner_services
from tests.support.loops import run

KEY = "runn3r"
PATHS = ("/infer", "/cancel", "/status", "/load", "/unload", "/docs.json", "/schema.json", "/", "/nothing", "/metrics")
PROBES = ("/livez", "/healthz", "/readyz")


async def _runner(scope: Scope, receive: Receive, send: Send) -> None:
    await send({"type": "http.response.start", "status": 200, "headers": []})
    await send({"type": "http.response.body", "body": b"the runner"})


def guarded(key: str = KEY, metrics_key: str = "") -> ASGIApp:
    return KeyGuard(_runner, key, metrics_key)


def ask(
    app: ASGIApp, path: str, key: str | None = None, client: tuple[str, int] | None = ("10.0.0.1", 1), kind: str = ""
) -> httpx.Response:
    headers = [] if key is None else [(b"Authorization", key.encode("latin-1"))]
    if kind:
        headers.append((b"Content-Type", kind.encode()))

    async def main() -> httpx.Response:
        transport = httpx.ASGITransport(app, client=client)  # type: ignore[arg-type]
        async with httpx.AsyncClient(transport=transport, base_url="http://runner") as client_:
            return await client_.post(path, headers=headers)

    return run(main())


@pytest.mark.parametrize("path", PATHS)
def test_without_the_key_nothing_is_answered(path: str) -> None:
    refused = ask(guarded(), path)
    assert refused.status_code == 401
    assert refused.headers["www-authenticate"] == "Bearer"
    told = refused.json()
    assert told["error"]["code"] == "missing_key"
    assert told["error"]["param"] == "Authorization"
    assert "Authorization: Bearer" in told["detail"]
    assert KEY not in refused.text
    assert "the runner" not in refused.text.replace("the runner's key", "")


@pytest.mark.parametrize("key", ["Bearer wrong", "Bearer ", "Bearer runn3rr", "bearer RUNN3R", "Bearer \xe9"])
def test_a_wrong_key_is_refused_and_not_repeated(key: str) -> None:
    refused = ask(guarded(), "/infer", key)
    assert refused.status_code == 403
    assert refused.json()["error"]["code"] == "wrong_key"
    assert "runn3r" not in refused.text.lower()


@pytest.mark.parametrize("key", ["Basic runn3r", "runn3r", ""])
def test_a_key_in_another_form_is_none(key: str) -> None:
    assert ask(guarded(), "/infer", key).status_code == 401


@pytest.mark.parametrize("path", PATHS)
def test_the_key_opens_all(path: str) -> None:
    assert ask(guarded(), path, f"Bearer {KEY}").text == "the runner"
    assert ask(guarded(), path, f"bearer  {KEY}").text == "the runner"


@pytest.mark.parametrize("path", PROBES)
def test_probes_need_none(path: str) -> None:
    assert ask(guarded(), path).status_code == 200


def test_without_a_key_in_the_settings_all_is_open_but_metrics_that_have_one() -> None:
    assert all(ask(guarded(key=""), path).status_code == 200 for path in PATHS)
    assert ask(guarded(key="", metrics_key="m3trics"), "/metrics").status_code == 401
    assert ask(guarded(key="", metrics_key="m3trics"), "/metrics", "Bearer m3trics").status_code == 200
    assert ask(guarded(key="", metrics_key="m3trics"), "/infer").status_code == 200


def test_the_metrics_key_opens_the_metrics_alone() -> None:
    assert ask(guarded(metrics_key="m3trics"), "/metrics", "Bearer m3trics").status_code == 200
    assert ask(guarded(metrics_key="m3trics"), "/metrics", f"Bearer {KEY}").status_code == 200
    assert ask(guarded(metrics_key="m3trics"), "/infer", "Bearer m3trics").status_code == 403


def test_a_gateway_on_this_machine_has_no_key_and_sends_pickles() -> None:
    found = ask(guarded(), "/infer", client=None, kind="application/vnd.bentoml+pickle")
    assert found.text == "the runner"


@pytest.mark.parametrize(
    "kind", ["application/vnd.bentoml+pickle", "Application/VND.bentoml+PICKLE; x=y", "application/x-pickle"]
)
@pytest.mark.parametrize("key", ["", KEY])
def test_over_a_network_no_pickle_comes_in_with_the_right_key_neither(kind: str, key: str) -> None:
    refused = ask(guarded(key=key), "/infer", f"Bearer {key or 'any'}", kind=kind)
    assert refused.status_code == 415
    assert refused.json()["error"]["code"] == "unsupported_media_type"


def test_a_websocket_is_closed() -> None:
    sent: list[Any] = []

    async def send(message: Any) -> None:
        sent.append(message)

    async def main() -> None:
        scope = {"type": "websocket", "path": "/infer", "headers": [], "client": ("10.0.0.1", 1)}
        await guarded()(scope, None, send)  # type: ignore[arg-type]

    run(main())
    assert sent == [{"type": "websocket.close", "code": 1008}]


@pytest.mark.parametrize("is_main", [True, False])
def test_every_runner_stands_behind_it(is_main: bool) -> None:
    """A runner that is started as a part of a service can be given a port too, and BentoML would take pickles there."""
    layers = runner_services()["blip"].to_asgi(is_main=is_main).user_middleware
    assert layers[0].cls is KeyGuard


def test_the_answer_is_json_of_its_length() -> None:
    refused = ask(guarded(), "/infer")
    assert int(refused.headers["content-length"]) == len(refused.content)
    assert json.loads(refused.content)
