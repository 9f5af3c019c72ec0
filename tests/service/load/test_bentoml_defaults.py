"""BentoML's defaults that would hurt (F1 to F7 in DESIGN.md): each stays neutralised."""

from __future__ import annotations

import asyncio
import subprocess
import sys
import time
from pathlib import Path

import psutil
import pytest

from tests.faults.callers import drawn
from tests.faults.test_failures import captions, healthy
from tests.service.routes.test_captioning import error, post
from tests.support import pictures
from tests.support.listener import counting
from tests.support.serving import API_KEY, ROOT, Service, serve

HUNG = 30.0  # seconds: half of the timeout that a hung request would wait for


def test_f1_the_session_to_a_runner_is_not_closed_under_calls(service: Service) -> None:
    """By default it is closed every 100 requests: 28 % of the calls at concurrency 32 failed."""
    assert healthy(asyncio.run(captions(service.url, drawn("f1", 240), 32)), 240)


def test_f2_bursts_after_idle_times_do_not_lose_calls(service: Service) -> None:
    """The runner closes kept-alive connections after 5 s; a burst at that moment lost 15 % of its calls."""
    assert healthy(asyncio.run(captions(service.url, drawn("f2-before", 48), 48)), 48)  # as many connections
    time.sleep(4.98)
    assert healthy(asyncio.run(captions(service.url, drawn("f2-after", 48), 48)), 48)


def test_f3_readiness_does_not_hang_on_a_dead_runner(service: Service) -> None:
    """By default /readyz hung for the whole traffic timeout."""
    assert service.client.get("/readyz", timeout=HUNG).status_code == 200
    assert service.client.get("/health").json()["models"]["gemma"] == "unreachable"
    response = post(service, ("a.png", pictures.scene(1)[0]), model="gemma")
    assert error(response) == (502, "runner_failed")


def test_f4_a_failing_handler_is_answered_at_once(service: Service) -> None:
    """A handler that raises before it answers would hang its caller in BentoML's timeout middleware."""
    headers = [(b"content-type", b"multipart/form-data; boundary=\xff")]
    content = b"--\xff\r\n\xff\xff"
    response = service.client.post("/api/caption-images", content=content, headers=headers, timeout=HUNG)
    assert response.status_code < 500
    assert error(response)


def test_f5_a_lone_request_does_not_wait_after_a_burst(service: Service) -> None:
    """BentoML's own batching made a lone request seven times slower after a burst."""

    def lone(name: str) -> float:
        times = []
        for data, _ in drawn(name, 9):
            started = time.perf_counter()
            assert post(service, ("a.png", data)).status_code == 200
            times.append(time.perf_counter() - started)
        return min(times)  # what else the machine does only adds to it

    before = lone("f5-before")
    assert healthy(asyncio.run(captions(service.url, drawn("f5-burst", 120), 100)), 120)
    assert lone("f5-after") < 3 * before


def test_f6_errors_of_bentoml_itself_have_our_shape(service: Service) -> None:
    """Its own are a JSON array, a masked text, or plain text."""
    assert error(service.client.post("/caption", json={"image": None})) == (422, "invalid_value")
    assert error(service.client.post("/schema.json")) == (405, "method_not_allowed")


def test_f7_no_gpu_is_assigned_and_none_is_hidden(service: Service) -> None:
    """With `resources.gpu` the second model on a one-GPU machine would be given a device that is not there."""
    (runner,) = service.processes("Blip")
    assert "CUDA_VISIBLE_DEVICES" not in psutil.Process(runner.pid).environ()


def test_telemetry_is_off(service: Service) -> None:
    (gateway, *_) = service.processes("Looksee")
    addresses = {
        connection.raddr.ip
        for process in (psutil.Process(service.process.pid), gateway, *service.processes("Blip"))
        for connection in process.net_connections("inet")
        if connection.raddr
    }
    assert all(address.startswith("127.") or address == "::1" for address in addresses)
    assert "usage" not in service.log.read_text().lower()


def test_the_gateway_never_imports_torch(service: Service) -> None:
    post(service, ("a.png", pictures.scene("torch")[0]))
    (gateway, *_) = service.processes("Looksee")
    (runner,) = service.processes("Blip")
    mapped = {name: {part.path for part in process.memory_maps()} for name, process in (("g", gateway), ("r", runner))}
    assert any("libtorch" in path for path in mapped["r"])
    assert not any("libtorch" in path for path in mapped["g"])


@pytest.mark.parametrize("command", [("bentoml", "serve"), ("bentoml", "serve", "service:Looksee")])
def test_a_bare_serve_works_without_our_configuration_file_and_reports_nothing(command: tuple[str, ...]) -> None:
    """Whoever calls out goes through the proxy: at the start, while it serves, at the end."""
    program = str(Path(sys.executable).parent / "bentoml")
    with counting() as (port, callers):
        own = {"BENTOML_CONFIG": "", "HTTPS_PROXY": f"http://127.0.0.1:{port}", "BENTOML_DO_NOT_TRACK": ""}
        with serve(program, *command[1:], "--port", "{port}", models=["moondream"], redis_url="", **own) as service:
            data, text = pictures.scene("bare")
            answer = post(service, ("a.png", data), model="moondream")
            assert answer.json()["results"][0]["caption"] == text
        assert callers == []


def test_f4_no_layer_keeps_a_timer_for_each_request() -> None:
    script = (
        "import service\n"
        "for app in (service.Looksee.to_asgi().app, service.Blip.to_asgi(is_main=False)):\n"
        "    print(*(layer.cls.__name__ for layer in app.user_middleware))\n"
    )
    ended = subprocess.run([sys.executable, "-c", script], cwd=ROOT, capture_output=True, text=True, check=True)
    layers = ended.stdout.split()
    assert "RunnerTrafficMetricsMiddleware" in layers
    assert "TimeoutMiddleware" not in layers
    assert "OpenTelemetryMiddleware" not in layers


def test_methods_are_found_before_the_routes_of_the_mounted_app_are_asked() -> None:
    script = (
        "import service\n"
        "routes = service.Looksee.to_asgi().app.router.routes\n"
        "methods = [route.path in {method.route for method in service.Looksee.apis.values()} for route in routes]\n"
        "print(methods.index(False), sum(methods), [route.name for route in routes].index('http'))\n"
    )
    ended = subprocess.run([sys.executable, "-c", script], cwd=ROOT, capture_output=True, text=True, check=True)
    first_other, count, mounted = map(int, ended.stdout.split())
    assert first_other == count == mounted > 5, "then our app, before BentoML's own routes"


def test_a_runner_on_another_host_is_called_as_json() -> None:
    """Served alone it refuses pickle; pictures travel as base64 and nothing else changes."""
    alone = (sys.executable, "-m", "bentoml", "serve", "service:Blip", "--port", "{port}")
    with serve(*alone, redis_url="") as runner:
        pickle = {"content-type": "application/vnd.bentoml+pickle"}
        assert runner.client.post("/infer", content=b"cos\nsystem\n", headers=pickle).status_code == 415
        with serve(LOOKSEE_BLIP_URL=runner.url) as service:
            files = [pictures.scene(f"remote-{number}", kind="JPEG") for number in range(4)]
            response = post(service, *((f"{number}.jpg", data) for number, (data, _) in enumerate(files)))
            assert [result["caption"] for result in response.json()["results"]] == [caption for _, caption in files]
            assert service.client.get("/health").json()["models"]["blip"] == "ready"
            assert not service.processes("Blip")
            assert error(post(service, ("a.jpg", pictures.truncated()))) == (400, "corrupt_image")
            for order, state in (("unload", "unloaded"), ("load", "ready")):
                route = f"/api/admin/models/blip/{order}"
                assert service.client.post(route, headers={"X-API-Key": API_KEY}).json()["state"] == state
