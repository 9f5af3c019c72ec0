"""The bento as a container runs it: BENTOML_CONTAINERIZED is set, and only what was built is served."""

from __future__ import annotations

import contextlib
import json
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest
import yaml

from tests.support import pictures
from tests.support.serving import PATIENCE, Service, built, serve

ROUTE = "/api/caption-images"


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


def test_a_killed_runner_is_started_again_and_nothing_else_ends(contained: Service) -> None:
    """How soon it answers is the same as outside a container, and tested there."""
    assert answered(contained, "alive")
    (runner,) = contained.processes("Blip")
    others = {process.pid for name in ("Looksee", "Blip2") for process in contained.processes(name)}
    assert len(others) >= 2
    runner.kill()
    killed = time.monotonic()
    while {process.pid for process in contained.processes("Blip")} <= {runner.pid}:
        assert time.monotonic() - killed < PATIENCE
        time.sleep(0.1)
    assert answered(contained, "back")
    assert {process.pid for name in ("Looksee", "Blip2") for process in contained.processes(name)} == others
