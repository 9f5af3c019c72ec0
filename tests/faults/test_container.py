"""The bento as a container runs it: BENTOML_CONTAINERIZED is set, and only what was built is served."""

from __future__ import annotations

import contextlib
import json
import socket
import sys
import threading
import time
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import httpx
import psutil
import pytest
import yaml

from tests.support import pictures
from tests.support.serving import PATIENCE, Service, built, serve

ROUTE = "/api/caption-images"
SERVICES = ("Looksee", "Blip", "Blip2")


@pytest.fixture(scope="module")
def bento(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of a bento, as `make build` makes it."""
    return built(tmp_path_factory.mktemp("bentoml"))


@pytest.fixture(scope="module")
def contained(bento: Path) -> Iterator[Service]:
    """The built bento with the processes of two models, in the image's environment."""
    command = (sys.executable, "-m", "bentoml", "serve", str(bento), "--port", "{port}")
    image = {"BENTOML_CONTAINERIZED": "true", "BENTOML_CONFIG": str(bento / "src" / "configuration.yaml")}
    image["LOOKSEE_LOG_FORMAT"] = "json"
    with serve(*command, models=["blip", "blip2"], redis_url="", **image) as running:
        yield running


def answered(service: Service, name: str) -> bool:
    data, caption = pictures.scene(name)
    with contextlib.suppress(httpx.TransportError):
        response = service.client.post(ROUTE, files={"images": ("a.png", data)})
        return response.status_code == 200 and response.json()["results"][0]["caption"] == caption
    return False


def test_the_bento_is_whole(bento: Path) -> None:
    source = bento / "src"
    names = {str(file.relative_to(source)) for file in source.rglob("*") if file.is_file()}
    assert {"service.py", "configuration.yaml", "ui/index.html", "samples/weights/blip/model.safetensors"} <= names
    assert not [name for name in names if name.startswith(("tests/", ".venv/", ".env", ".git/", "bench/"))]
    variables = {entry["name"]: entry["value"] for entry in yaml.safe_load((bento / "bento.yaml").read_text())["envs"]}
    assert (source / Path(variables["BENTOML_CONFIG"]).name).is_file()
    locked = (bento / "env" / "python" / "requirements.txt").read_text()
    assert "bentoml==1.4.39" in locked
    assert "torch==2.13.0" in locked


def test_its_configuration_is_read(contained: Service) -> None:
    """Its buckets are in the metrics, the default ones are not."""
    assert answered(contained, "bento")
    assert 'le="0.025"' in contained.client.get("/metrics").text


def test_a_line_of_the_log_names_its_process(contained: Service) -> None:
    assert answered(contained, "logged")
    lines = [json.loads(line) for line in contained.log.read_text().splitlines() if line.startswith("{")]
    processes = {line["logger"]: line["process"] for line in lines}
    assert processes["looksee.access"] == "entry_service:Looksee:1"
    assert processes["looksee.runner"] == "service:Blip:1"


def others(service: Service, name: str) -> set[int]:
    """The processes of the gateway and of the models, but for those of the service `name`."""
    return {process.pid for one in SERVICES if one != name for process in service.processes(one)}


def replaced(service: Service, name: str, before: psutil.Process) -> psutil.Process:
    """The process that was started in the place of the one before."""
    end = time.monotonic() + PATIENCE
    while time.monotonic() < end:
        for process in service.processes(name):
            if process != before:
                return process
        time.sleep(0.05)
    raise AssertionError(service.log.read_text())


def many(service: Service, name: str, count: int, begun: threading.Event) -> Counter[str]:
    """How requests that are made together end: `right`, the status, or `broken` for a lost connection.

    `begun` is set once some have ended.
    """

    def one(number: int) -> str:
        if number >= 24:  # of which 16 are made at a time
            begun.set()
        data, caption = pictures.scene(f"{name} {number}")
        try:
            response = httpx.post(f"{service.url}{ROUTE}", files={"images": ("a.png", data)}, timeout=PATIENCE)
        except httpx.TransportError:
            return "broken"
        if response.status_code != 200:
            return str(response.status_code)
        return "right" if response.json()["results"][0]["caption"] == caption else "wrong"

    with ThreadPoolExecutor(16) as pool:
        return Counter(pool.map(one, range(count)))


def test_a_runner_that_is_killed_in_a_batch_and_twice_in_a_row(contained: Service) -> None:
    """How soon it answers is the same as outside a container, and tested there."""
    assert answered(contained, "alive")
    (runner,) = contained.processes("Blip")
    untouched = others(contained, "Blip")
    assert len(untouched) >= 2
    with ThreadPoolExecutor(1) as pool:
        begun = threading.Event()
        load = pool.submit(many, contained, "killed", 120, begun)
        assert begun.wait(PATIENCE)
        runner.kill()
        second = replaced(contained, "Blip", runner)
        second.kill()  # while it starts
        third = replaced(contained, "Blip", second)
        killed = time.monotonic()
        assert answered(contained, "back")
        seconds = time.monotonic() - killed
        ends = load.result()
    print(f"{dict(ends)}, answers {seconds:.1f} s after the second kill was noticed")
    assert set(ends) <= {"right", "wrong", "502", "503"}, ends
    assert ends["right"] >= 100, "what was not under way waited"
    assert contained.processes("Blip") == [third]
    assert others(contained, "Blip") == untouched


def test_a_gateway_that_is_killed(contained: Service) -> None:
    assert answered(contained, "alive too")
    (gateway,) = contained.processes("Looksee")
    untouched = others(contained, "Looksee")
    for turn in range(2):
        with ThreadPoolExecutor(1) as pool:
            begun = threading.Event()
            load = pool.submit(many, contained, f"gateway {turn}", 60, begun)
            assert begun.wait(PATIENCE)
            gateway.kill()
            killed = time.monotonic()
            gateway = replaced(contained, "Looksee", gateway)
            ends = load.result()
        print(f"{dict(ends)}, all answered {time.monotonic() - killed:.1f} s after the kill")
        assert set(ends) <= {"right", "wrong", "broken"}, ends
        assert ends["broken"] <= 16, "those whose connections it had"
    assert answered(contained, "the gateway is back")
    assert others(contained, "Looksee") == untouched


def test_when_the_supervisor_is_killed_nothing_is_left(contained: Service) -> None:
    """Of a container the system ends the rest too; elsewhere it would hold the port, the lease and the memory."""
    processes = psutil.Process(contained.process.pid).children(recursive=True)
    assert len(processes) >= 3
    contained.process.kill()
    contained.process.wait()
    _, alive = psutil.wait_procs(processes, timeout=PATIENCE)
    assert [one for one in alive if one.status() != psutil.STATUS_ZOMBIE] == []
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)  # as servers do; no two may listen all the same
        probe.bind(("127.0.0.1", httpx.URL(contained.url).port))
        probe.listen()
