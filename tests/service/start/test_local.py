"""`make serve` and `make build` as a stranger runs them."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import httpx
import psutil
import pytest
import yaml

from tests.support import pictures
from tests.support.serving import CLEAN, ROOT, built, free_port, serve


def family(process: psutil.Process) -> list[psutil.Process]:
    return [process, *process.children(recursive=True)]


@pytest.mark.parametrize("ending", [signal.SIGTERM, signal.SIGINT])
def test_serving_locally_brings_a_redis_and_ends_all_of_it(ending: signal.Signals, tmp_path: Path) -> None:
    port = free_port()
    others = _redis_folders()
    command = [sys.executable, "-m", "deploy.local", "--host", "127.0.0.1"]
    with (tmp_path / "log").open("wb") as log:
        process = subprocess.Popen(
            command, cwd=ROOT, env={**CLEAN, "PORT": str(port)}, stdout=log, stderr=log, start_new_session=True
        )
    try:
        with httpx.Client(base_url=f"http://127.0.0.1:{port}", timeout=60) as client:
            _await_ready(client, process)
            assert client.get("/health").json()["redis"] == "up"
            data, caption = pictures.scene("local")
            answers = [client.post("/api/caption-images", files={"images": ("a.png", data)}) for _ in range(2)]
            results = [answer.json()["results"][0] for answer in answers]
            assert [(result["caption"], result["cache"]) for result in results] == [(caption, False), (caption, True)]
            assert results[0]["weights"] == "sample"
        started = family(psutil.Process(process.pid))
        assert any("redis-server" in member.name() for member in started)
        process.send_signal(ending)
        assert process.wait(timeout=20) == 0
        _, alive = psutil.wait_procs(started, timeout=10)
        assert not alive
        assert _redis_folders() == others
    finally:
        if process.poll() is None:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)


def _redis_folders() -> set[Path]:
    return set(Path(tempfile.gettempdir()).glob("looksee-redis-*"))


def _await_ready(client: httpx.Client, process: subprocess.Popen[bytes]) -> None:
    end = time.monotonic() + 60
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


def test_the_bento_is_whole_and_serves(tmp_path: Path) -> None:
    """`bentoml build`, then the service out of the bento alone, with the image's environment."""
    bento = built(tmp_path)
    source = bento / "src"
    names = {str(file.relative_to(source)) for file in source.rglob("*") if file.is_file()}
    assert {"service.py", "configuration.yaml", "ui/index.html", "samples/weights/blip/model.safetensors"} <= names
    assert not [name for name in names if name.startswith(("tests/", ".venv/", ".env", ".git/", "bench/"))]
    variables = {entry["name"]: entry["value"] for entry in yaml.safe_load((bento / "bento.yaml").read_text())["envs"]}
    assert (source / Path(variables["BENTOML_CONFIG"]).name).is_file()
    locked = (bento / "env" / "python" / "requirements.txt").read_text()
    assert "bentoml==1.4.39" in locked
    assert "torch==2.13.0" in locked
    command = (sys.executable, "-m", "bentoml", "serve", str(bento), "--port", "{port}")
    with serve(*command, redis_url="", BENTOML_CONFIG=str(source / "configuration.yaml")) as service:
        data, caption = pictures.scene("bento")
        response = service.client.post("/api/caption-images", files={"images": ("a.png", data)})
        assert response.json()["results"][0]["caption"] == caption
        # configuration.yaml is really read: its buckets are in the metrics, the default ones are not
        assert 'le="0.025"' in service.client.get("/metrics").text
