"""`make serve` as a stranger runs it."""

from __future__ import annotations

import contextlib
import os
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import httpx
import psutil
import pytest

from deploy.local import every_address, url
from tests.support import pictures
from tests.support.serving import CLEAN, EVERY, PATIENCE, ROOT, free_port, stop, without


@pytest.fixture
def temporary() -> Iterator[Path]:
    """A folder for temporary files whose name is short enough for a socket in it."""
    with tempfile.TemporaryDirectory(prefix="looksee-test-") as folder:
        yield Path(folder)


def family(process: psutil.Process) -> list[psutil.Process]:
    return [process, *process.children(recursive=True)]


@pytest.mark.parametrize("ending", [signal.SIGTERM, signal.SIGINT])
def test_serving_locally_brings_a_redis_and_ends_all_of_it(
    ending: signal.Signals, tmp_path: Path, temporary: Path
) -> None:
    port = free_port()
    command = [sys.executable, "-m", "deploy.local", "--host", "127.0.0.1"]
    absent = without(*(name for name in EVERY if name != "moondream"))
    env = {**CLEAN, **absent, "PORT": str(port), "TMPDIR": str(temporary)}
    with (tmp_path / "log").open("wb") as log:
        process = subprocess.Popen(command, cwd=ROOT, env=env, stdout=log, stderr=log, start_new_session=True)
    try:
        with httpx.Client(base_url=f"http://127.0.0.1:{port}", timeout=PATIENCE) as client:
            _await_ready(client, process)
            assert client.get("/health").json()["redis"] == "up"
            data, caption = pictures.scene("local")
            route = "/api/caption-images?model=moondream"
            answers = [client.post(route, files={"images": ("a.png", data)}) for _ in range(2)]
            results = [answer.json()["results"][0] for answer in answers]
            assert [(result["caption"], result["cache"]) for result in results] == [(caption, False), (caption, True)]
            assert results[0]["weights"] == "sample"
        started = family(psutil.Process(process.pid))
        assert any("redis-server" in member.name() for member in started)
        assert list(temporary.glob("looksee-redis-*"))
        process.send_signal(ending)
        assert process.wait(timeout=PATIENCE) == 0
        _, alive = psutil.wait_procs(started, timeout=PATIENCE)
        assert not alive
        assert not list(temporary.glob("looksee-redis-*"))
    finally:
        if process.poll() is None:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)


@pytest.mark.skipif(every_address() == "0.0.0.0", reason="this machine has no IPv6")
def test_the_address_that_is_printed_works_on_both_families(tmp_path: Path) -> None:
    port = free_port()
    # Without models: this is about the gateway. A Redis that is not there.
    env = {**CLEAN, **without(*EVERY), "PORT": str(port), "REDIS_URL": "redis://127.0.0.1:9"}
    env["LOOKSEE_REQUESTS_PER_MINUTE"] = "1"
    with (tmp_path / "log").open("wb") as log:
        process = subprocess.Popen(
            [sys.executable, "-m", "deploy.local"], cwd=ROOT, env=env, stdout=log, stderr=log, start_new_session=True
        )
    try:
        for host in ("127.0.0.1", "[::1]", "localhost"):
            with httpx.Client(base_url=f"http://{host}:{port}", timeout=PATIENCE) as client:
                _await_ready(client, process)
        assert f"serving sample weights on http://localhost:{port}\n" in (tmp_path / "log").read_text()
        # uvicorn believes a proxy on this machine, whose address is one of IPv4 as on a socket of IPv4.
        for host, network in (("127.0.0.1", "192.0.2"), ("[::1]", "198.51.100")):
            limited = [
                httpx.post(f"http://{host}:{port}/v1/caption", headers={"X-Forwarded-For": client}).status_code == 429
                for client in (f"{network}.1", f"{network}.2", f"{network}.1")
            ]
            assert limited == [False, False, True]
        if sys.platform == "linux":  # killed, it cannot end what it started: the system does
            started = family(psutil.Process(process.pid))
            assert len(started) >= 3
            process.kill()
            process.wait()
            _, alive = psutil.wait_procs(started, timeout=PATIENCE)
            assert [one for one in alive if one.status() != psutil.STATUS_ZOMBIE] == []
    finally:
        if process.poll() is None:
            stop(process)


@pytest.mark.skipif(sys.platform != "linux", reason="elsewhere nothing tells it")
def test_its_redis_ends_with_it() -> None:
    code = """
import time
from deploy import local, redis_server
with redis_server.running(preexec=local.ends_with_parent) as url:
    print(url, flush=True)
    time.sleep(600)
"""
    with subprocess.Popen([sys.executable, "-c", code], cwd=ROOT, stdout=subprocess.PIPE) as process:
        assert process.stdout is not None
        assert process.stdout.readline()
        (redis,) = psutil.Process(process.pid).children()
        process.kill()
        process.wait()
        _, alive = psutil.wait_procs([redis], timeout=PATIENCE)
        assert [one for one in alive if one.status() != psutil.STATUS_ZOMBIE] == []


@pytest.mark.parametrize(
    ("host", "printed"),
    [
        ("::", "http://localhost:80"),
        ("0.0.0.0", "http://127.0.0.1:80"),
        ("127.0.0.1", "http://127.0.0.1:80"),
        ("192.0.2.7", "http://192.0.2.7:80"),
        ("::1", "http://[::1]:80"),
    ],
)
def test_the_address_that_is_printed_is_one_that_is_listened_on(host: str, printed: str) -> None:
    assert url(host, 80) == printed


@pytest.mark.parametrize("what", ["no such family", "IPv6 alone"])
def test_a_machine_without_both_families_is_served_on_ipv4(what: str, monkeypatch: pytest.MonkeyPatch) -> None:
    class Probe(socket.socket):
        def bind(self, address: object) -> None:
            if what == "no such family":
                raise OSError

        def getsockopt(self, *option: int) -> int:  # type: ignore[override]
            return 1

    monkeypatch.setattr(socket, "socket", Probe)
    assert every_address() == "0.0.0.0"


def _await_ready(client: httpx.Client, process: subprocess.Popen[bytes]) -> None:
    end = time.monotonic() + PATIENCE
    while time.monotonic() < end and process.poll() is None:
        with contextlib.suppress(httpx.TransportError):
            if client.get("/readyz").status_code == 200:
                return
        time.sleep(0.1)
    raise AssertionError("it did not start")


def test_a_wrong_setting_is_named() -> None:
    command = [sys.executable, "-m", "deploy.local"]
    ended = subprocess.run(
        command, cwd=ROOT, env={**CLEAN, "LOOKSEE_MAX_QUEUE": "many"}, capture_output=True, text=True, check=False
    )
    assert ended.returncode != 0
    assert "LOOKSEE_MAX_QUEUE" in ended.stderr.upper()
    assert "Traceback" not in ended.stderr
