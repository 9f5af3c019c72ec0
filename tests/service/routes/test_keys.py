"""A service with keys, a limit and a log for collectors: the real one, every route of it."""

from __future__ import annotations

import base64
import json
import re
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import bentoml
import httpx
import pytest

from tests.service.routes.test_captioning import error
from tests.support import pictures
from tests.support.serving import API_KEY, ROOT, Service, serve

KEY, OLD_KEY, HASTY, METRICS_KEY = "client-one", "from-moondream", "client-hasty", "for-prometheus"
PER_MINUTE = 25
PROMPT = "what is mister X doing there"
OPEN = {
    *("/", "/status", "/docs", "/redoc", "/openapi.json", "/schema.json"),
    *("/health", "/healthz", "/livez", "/readyz"),
}
_LIST_ROUTES = """
import json
from fastapi.routing import iter_route_contexts
from service import Looksee
found = []
for route in Looksee.to_asgi().app.router.routes:
    inner = getattr(getattr(route, "app", None), "routes", None)
    routes = [route] if inner is None else iter_route_contexts(inner)
    found += [(one.path, sorted(one.methods)) for one in routes]
print(json.dumps(found))
"""


@pytest.fixture(scope="module")
def guarded() -> Iterator[Service]:
    settings = {
        "LOOKSEE_CLIENT_KEYS": f"{KEY}, {HASTY}",
        "MOONDREAM_API_KEY": OLD_KEY,
        "LOOKSEE_METRICS_KEY": METRICS_KEY,
        "LOOKSEE_REQUESTS_PER_MINUTE": str(PER_MINUTE),
        "LOOKSEE_LOG_FORMAT": "json",
        "LOOKSEE_ALLOWED_ORIGINS": "https://app.example",
    }
    with serve(**settings) as service:
        yield service


@pytest.fixture(scope="module")
def routes(tmp_path_factory: pytest.TempPathFactory) -> list[tuple[str, list[str]]]:
    """Path and methods of every route that the gateway has, BentoML's own too."""
    script = subprocess.run(
        [sys.executable, "-c", _LIST_ROUTES],
        cwd=ROOT,
        env={"BENTOML_HOME": str(tmp_path_factory.mktemp("home")), "PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        check=True,
    )
    found: list[tuple[str, list[str]]] = json.loads(script.stdout.splitlines()[-1])
    return found


def caption(service: Service, *, timeout: str = "60", **headers: str) -> httpx.Response:
    body = {"image": base64.b64encode(pictures.scene("keys")[0]).decode(), "model": "blip"}
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    return service.client.post("/caption", json=body, headers={"X-Request-Timeout": timeout, **named})


def lines(service: Service, **wanted: Any) -> list[dict[str, Any]]:
    """The JSON lines of the log that have these members."""
    found = [json.loads(line) for line in Path(service.log).read_text().splitlines() if line.startswith("{")]
    return [line for line in found if wanted.items() <= line.items()]


def test_every_route_that_is_not_named_open_asks_for_a_key(
    guarded: Service, routes: list[tuple[str, list[str]]]
) -> None:
    paths = {path for path, _ in routes}
    assert paths >= {*OPEN, "/caption", "/collective", "/api/caption-images", "/v1/models", "/metrics"}
    for path, methods in routes:
        for method in methods:
            answer = guarded.client.request(method, re.sub(r"\{name:\w+\}", "blip", path))
            if path in OPEN or path.startswith(("/ui/", "/docs/")):
                assert answer.status_code == 200, (method, path)
            elif method == "HEAD":  # an answer without words
                assert answer.status_code == 401, path
            else:
                assert answer.status_code == 401, (method, path)
                told = answer.json()
                about = told if isinstance(told["error"], str) else told["error"]
                assert "missing_key" in (about["code"], about.get("reason")), (method, path)


@pytest.mark.parametrize(
    "headers",
    [{"X-API-Key": KEY}, {"X-Moondream-Auth": OLD_KEY}, {"Authorization": f"Bearer {KEY}"}, {"X-API-Key": OLD_KEY}],
)
def test_any_client_key_in_any_header_is_enough(guarded: Service, headers: dict[str, str]) -> None:
    assert caption(guarded, **headers).status_code == 200


@pytest.mark.parametrize("key", ["wrong", API_KEY, METRICS_KEY, f"{KEY}x", "\u00e9"])
def test_any_other_key_is_not(guarded: Service, key: str) -> None:
    response = guarded.client.post("/caption", content=b"{", headers=[(b"x-api-key", key.encode("latin-1"))])
    assert error(response) == (403, "wrong_key")


def test_admin_and_metrics_have_their_own(guarded: Service) -> None:
    for headers, status in (({"X-API-Key": API_KEY}, 200), ({"X-API-Key": KEY}, 403)):
        assert guarded.client.get("/api/admin/cache", headers=headers).status_code == status
    for headers, status in (({"Authorization": f"Bearer {METRICS_KEY}"}, 200), ({"X-API-Key": KEY}, 403)):
        assert guarded.client.get("/metrics", headers=headers).status_code == status


def test_bentomls_client_brings_its_key(guarded: Service) -> None:
    data, text = pictures.scene("client")
    image = base64.b64encode(data).decode()
    with bentoml.SyncHTTPClient(guarded.url, token=KEY) as client:
        assert client.caption(image=image, model="blip")["caption"] == text
    with bentoml.SyncHTTPClient(guarded.url) as client, pytest.raises(bentoml.exceptions.BentoMLException):
        client.caption(image=image, model="blip")


def test_a_deadline_reaches_the_model(guarded: Service) -> None:
    assert caption(guarded, timeout="60", X_API_Key=KEY).status_code == 200  # it is loaded now
    image = base64.b64encode(pictures.scene("hurried")[0]).decode()
    hurried = guarded.client.post(
        "/caption",
        json={"image": image, "model": "blip"},
        headers={"X-Request-Timeout": "0.001", "X-API-Key": KEY},
    )
    assert error(hurried) == (504, "deadline_exceeded")
    assert error(caption(guarded, timeout="soon", X_API_Key=KEY)) == (422, "invalid_value")


def test_a_hasty_client_waits_and_the_others_do_not(guarded: Service) -> None:
    answers = [caption(guarded, X_API_Key=HASTY) for _ in range(PER_MINUTE + 5)]
    assert {answer.status_code for answer in answers[:PER_MINUTE]} == {200}
    assert answers[0].headers["x-ratelimit-remaining"] == str(PER_MINUTE - 1)
    for answer in answers[PER_MINUTE:]:
        assert error(answer) == (429, "rate_limited")
        assert 1 <= int(answer.headers["retry-after"]) <= 61
    assert caption(guarded, X_API_Key=KEY).status_code == 200
    assert guarded.client.get("/health").status_code == 200


def test_the_log_has_one_line_a_request_and_no_secret(guarded: Service) -> None:
    caption(guarded, X_API_Key=KEY, X_Request_ID="one-line")
    headers = {"X-API-Key": KEY, "X-Request-ID": "bad-input"}
    for body in ({"question": PROMPT}, {"image": [PROMPT]}, {"image": "", "model": PROMPT}, {"image": PROMPT}):
        assert guarded.client.post("/query", json=body, headers=headers).status_code in (400, 422)
    for content in (b'{"image": "' + PROMPT.encode(), b'\xff"' + PROMPT.encode()):
        assert guarded.client.post("/caption", content=content, headers=headers).status_code in (400, 415, 422)
    end = time.monotonic() + 10
    while len(lines(guarded, request_id="bad-input")) < 6 and time.monotonic() < end:
        time.sleep(0.05)  # the last line is written once the answer is sent
    assert [line["logger"] for line in lines(guarded, request_id="bad-input")] == ["looksee.access"] * 6
    (line,) = lines(guarded, request_id="one-line")
    assert (line["logger"], line["path"], line["status"], line["model"]) == ("looksee.access", "/caption", 200, "blip")
    assert (line["answers"], line["cached"]) == (1, 1)
    text = Path(guarded.log).read_text()
    for secret in (KEY, HASTY, OLD_KEY, METRICS_KEY, API_KEY, PROMPT):
        assert secret not in text
    assert len([line for line in text.splitlines() if line.startswith("{")]) > 30
    assert lines(guarded, logger="looksee.runner"), "the runner's lines are JSON too"


def test_a_page_of_a_named_origin_may_ask_and_reads_refusals(guarded: Service) -> None:
    origin = {"Origin": "https://app.example"}
    question = {"Access-Control-Request-Method": "POST", "Access-Control-Request-Headers": "authorization"}
    for path in ("/v1/chat/completions", "/caption", "/api/caption-images", "//v1/models/"):
        allowed = guarded.client.options(f"{guarded.url}{path}", headers=origin | question)
        refused = guarded.client.post(f"{guarded.url}{path}", headers=origin)
        assert (allowed.status_code, refused.status_code) == (200, 401)
        for answer in (allowed, refused):
            assert answer.headers["access-control-allow-origin"] == "https://app.example"
    other = {"Origin": "https://evil.example"}
    assert "access-control-allow-origin" not in guarded.client.get("/health", headers=other).headers


def test_slashes_are_no_way_around_a_key(guarded: Service) -> None:
    for path in ("//caption", "/caption/", "//v1//models//", "//metrics", "/api//admin/cache/"):
        method = "POST" if "caption" in path else "GET"
        assert guarded.client.request(method, f"{guarded.url}{path}").status_code == 401, path
        assert guarded.client.request("HEAD", f"{guarded.url}{path}").status_code == 401, path
