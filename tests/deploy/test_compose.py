"""The compose files, read by podman-compose: what it makes of them, and what it tells podman."""

from __future__ import annotations

import functools
import importlib.util
import os
import shlex
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml

from looksee.settings import Settings, unknown_names
from tests.support.serving import ROOT

BASE, GPU, OLD_PORTS = "compose.yaml", "compose.gpu.yaml", "compose.old-ports.yaml"

if importlib.util.find_spec("podman_compose") is None and not os.environ.get("CI"):
    pytest.skip("needs podman-compose, which `make setup` installs", allow_module_level=True)

# Stands for podman: it writes down what it is told, and says that networks and volumes are there.
_PODMAN = """#!/bin/sh
[ "$1" = --version ] && echo "podman version 5.4.2" && exit
printf '%s\\n' "$(printf "'%s' " "$@")" >> {told}
[ "$1" = ps ] && echo '[]'
exit 0
"""


def compose(folder: Path, *arguments: str, **variables: str) -> subprocess.CompletedProcess[str]:
    env = {"PATH": os.environ["PATH"], "HOME": str(folder), "PYTHONPATH": os.pathsep.join(sys.path), **variables}
    command = [sys.executable, "-m", "podman_compose", *arguments]
    return subprocess.run(command, cwd=folder, env=env, capture_output=True, text=True, check=False, timeout=60)


def _copied(folder: Path) -> Path:
    """The folder, with the files in it."""
    for file in (BASE, GPU, OLD_PORTS):
        shutil.copy(ROOT / file, folder)
    return folder


def _chosen(files: tuple[str, ...], profile: str) -> list[str]:
    return [part for file in files for part in ("-f", file)] + (["--profile", profile] if profile else [])


@functools.cache
def services(*files: str, profile: str = "", **variables: str) -> dict[str, Any]:
    """What is served of these files together, in a folder without a `.env`."""
    with tempfile.TemporaryDirectory(prefix="looksee-compose-") as folder:
        done = compose(_copied(Path(folder)), "--dry-run", *_chosen(files, profile), "config", **variables)
    assert done.returncode == 0, done.stderr
    found: dict[str, Any] = yaml.safe_load(done.stdout)["services"]
    return found


@pytest.fixture
def told(tmp_path: Path) -> Callable[..., dict[str, list[str]]]:
    """The words of `podman run` or `podman create` for each service, when all of these files is started."""
    (tmp_path / "podman").write_text(_PODMAN.format(told=tmp_path / "told"))
    (tmp_path / "podman").chmod(0o755)

    def start(*files: str, profile: str = "") -> dict[str, list[str]]:
        flags = ["--podman-path", str(tmp_path / "podman"), *_chosen(files, profile)]
        done = compose(_copied(tmp_path), *flags, "up", "-d")
        assert done.returncode == 0, done.stderr
        lines = [shlex.split(line) for line in (tmp_path / "told").read_text().splitlines()]
        made = [line for line in lines if line[0] in ("run", "create")]
        return {
            next(w for w in line if w.startswith("--name=")).rpartition("_")[0].rpartition("_")[2]: line
            for line in made
        }

    return start


def test_the_service_and_its_cache_are_served_and_what_watches_them_where_it_is_asked_for() -> None:
    assert services(BASE).keys() == {"looksee", "redis"}
    assert services(BASE, profile="watch").keys() == {"looksee", "redis", "prometheus", "grafana"}


def test_every_container_may_do_little() -> None:
    for name, service in services(BASE, profile="watch").items():
        assert service["read_only"] is True, name
        assert service["cap_drop"] == ["ALL"], name
        assert service["security_opt"] == ["no-new-privileges:true"], name
        assert "privileged" not in service, name
        assert "latest" not in service["image"], name


def test_the_service_alone_is_reached_from_elsewhere() -> None:
    found = services(BASE, profile="watch")
    assert found["looksee"]["ports"] == ["3000:3000"]
    assert "ports" not in found["redis"]
    assert found["redis"]["networks"] == ["cache"]
    for name in ("prometheus", "grafana"):
        assert all(port.startswith("127.0.0.1:") for port in found[name]["ports"])
    assert yaml.safe_load((ROOT / BASE).read_text())["networks"]["cache"] == {"internal": True}


def test_redis_is_bounded_and_keeps_nothing() -> None:
    redis = services(BASE)["redis"]
    line = " ".join(redis["command"])
    assert "--maxmemory 512mb --maxmemory-policy allkeys-lru" in line
    assert "--save " in line
    assert redis["mem_limit"] == "768m"


def test_a_gpu_and_the_ports_of_the_replaced_systems_are_a_file_each() -> None:
    alone, more = services(BASE)["looksee"], services(BASE, GPU, OLD_PORTS)["looksee"]
    assert (alone["image"], more["image"]) == ("looksee:cpu", "looksee:latest")
    assert "deploy" not in alone
    devices = [{"driver": "nvidia", "count": "all", "capabilities": ["gpu"]}]
    assert more["deploy"]["resources"]["reservations"]["devices"] == devices
    assert more["ports"] == ["3000:3000", "8000:3000", "8001:3000"]


def test_image_and_ports_are_variables() -> None:
    variables = {"LOOKSEE_PORT_OF_CAPTIONS": "5000", "LOOKSEE_PORT_OF_MOONDREAM": "2020", "PORT": "8080"}
    moved = services(BASE, GPU, OLD_PORTS, LOOKSEE_IMAGE="mine:1", **variables)["looksee"]
    assert moved["image"] == "mine:1"
    assert moved["ports"] == ["8080:3000", "5000:3000", "2020:3000"]
    assert moved["environment"]["PORT"] == "3000", "inside it stays"


def test_every_variable_is_a_setting_or_known_not_to_be_one(monkeypatch: pytest.MonkeyPatch) -> None:
    """`.env` goes into the container as a whole, and a name that nobody knows would stop the start."""
    texts = [(ROOT / file).read_text() for file in (BASE, GPU, OLD_PORTS)]
    read = {part.partition(":-")[0] for text in texts for part in text.split("${")[1:]}
    assert read == {"LOOKSEE_IMAGE", "LOOKSEE_PORT_OF_CAPTIONS", "LOOKSEE_PORT_OF_MOONDREAM", "PORT"}
    assert unknown_names.complaints(dict.fromkeys(read, "8000")) == {}
    for name in read:
        monkeypatch.setenv(name, "8000")
    assert Settings().port == 8000, "and none is read as one of a model's"
    assert unknown_names.complaints(services(BASE)["looksee"]["environment"]) == {}


def test_what_is_mounted_is_there() -> None:
    for name, service in services(BASE, profile="watch").items():
        for volume in service.get("volumes", []):
            source, _, _ = volume.partition(":")
            assert not source.startswith(".") or (ROOT / source).is_dir(), name
    prometheus = yaml.safe_load((ROOT / "deploy/watch/prometheus.yml").read_text())
    (job,) = prometheus["scrape_configs"]
    assert job["static_configs"] == [{"targets": ["looksee:3000"]}]


def test_podman_is_told_all_of_it(told: Callable[..., dict[str, list[str]]]) -> None:
    lines = told(BASE, GPU, OLD_PORTS, profile="watch")
    assert lines.keys() == {"looksee", "redis", "prometheus", "grafana"}
    for line in lines.values():
        assert {"--read-only", "--cap-drop", "ALL", "--security-opt", "no-new-privileges:true"} <= set(line)
    assert "768m" in lines["redis"]
    assert lines["redis"][lines["redis"].index("--save") + 1] == ""
    line = lines["looksee"]
    assert {"3000:3000", "8000:3000", "8001:3000", "nvidia.com/gpu=all", "BENTOML_HOME=/tmp/looksee"} <= set(line)
    assert "python -m looksee ready" in " ".join(line)
    assert line[-2:] == ["looksee:latest", "serve"]
