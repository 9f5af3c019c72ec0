"""`make serve` as a stranger runs it."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import httpx
import psutil
import pytest

from tests.support import pictures
from tests.support.serving import CLEAN, PATIENCE, ROOT, free_port, without


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
    env = {**CLEAN, **without("gemma", "intern_vlm", "moondream"), "PORT": str(port), "TMPDIR": str(temporary)}
    with (tmp_path / "log").open("wb") as log:
        process = subprocess.Popen(command, cwd=ROOT, env=env, stdout=log, stderr=log, start_new_session=True)
    try:
        with httpx.Client(base_url=f"http://127.0.0.1:{port}", timeout=PATIENCE) as client:
            _await_ready(client, process)
            assert client.get("/health").json()["redis"] == "up"
            data, caption = pictures.scene("local")
            answers = [client.post("/api/caption-images", files={"images": ("a.png", data)}) for _ in range(2)]
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
