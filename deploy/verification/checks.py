"""What an operator relies on, tried on a container: the image, its log, faults, stopping, weights in a volume."""

from __future__ import annotations

import json
import os
import time
from collections.abc import Callable
from pathlib import Path

from deploy.image.definition import BASE, WEIGHTS
from deploy.verification.containers import ONCE, STRANGER, ServiceContainer, remove, start
from deploy.verification.report import not_json
from deploy.verification.shell import CommandFailed, Shell
from deploy.verification.tour import Questioner, caption
from looksee.models.registry import REGISTRY
from tests.support.hub import Repository, serving

_UNWANTED = ("gcc", "cc", "g++", "clang", "git", "make", "gpg")
_MEMORY = "1300m"  # for five models, which take more
_MODEL = "blip"
_SAMPLES = Path("samples/weights")


def contents(shell: Shell, image: str) -> str:
    """No compiler, no git, no Debian package that the base has not; the folder for weights is the user's."""
    run = [*ONCE, "--network", "none", "--entrypoint", "sh"]
    look = f"for one in {' '.join(_UNWANTED)}; do command -v $one; done; stat -c %u:%g {WEIGHTS} >&2; true"
    found = shell.read(*run, image, "-c", look).split()
    assert found == ["1034:1034"], found
    count = "dpkg-query --show | wc -l; du -s /var/lib/apt/lists | cut -f1"
    own, base = (shell.run(*run, name, "-c", count).split() for name in (image, BASE))
    assert own == base, (own, base)
    config = json.loads(shell.run("podman", "inspect", image))[0]
    assert config["User"] == "bentoml", config["User"]
    health = (config.get("HealthCheck") or config.get("Healthcheck") or config["Config"].get("Healthcheck"))["Test"]
    assert "looksee ready" in " ".join(health), health
    return f"none of {', '.join(_UNWANTED)}; {own[0]} Debian packages as in the base; {WEIGHTS} is 1034:1034's"


def probe(container: ServiceContainer) -> str:
    said = container.execute("python", "-m", "looksee", "ready").strip()
    began = time.monotonic()
    assert container.shell.ok("podman", "--runtime", "runc", "healthcheck", "run", container.name)
    took = time.monotonic() - began
    nobody = container.shell.read(
        "podman",
        "--runtime",
        "runc",
        "exec",
        container.name,
        "python",
        "-m",
        "looksee",
        "ready",
        "--url",
        "http://127.0.0.1:9",
    )
    assert "not ready" in nobody, nobody
    return f"`{said}`; the engine's own health check in {took:.1f} s; of no service: `{nobody.strip().splitlines()[0]}`"


def user(container: ServiceContainer) -> str:
    """It runs as the stranger, without capabilities, and can write nowhere but in /tmp."""
    status = container.execute("cat", "/proc/1/status")
    assert f"Uid:\t{STRANGER.split(':')[0]}" in status
    assert "CapEff:\t0000000000000000" in status
    denied = container.shell.read(
        "podman", "--runtime", "runc", "exec", container.name, "sh", "-c", f"touch /home/bentoml/a {WEIGHTS}/a /a"
    )
    assert denied.count("Read-only file system") + denied.count("Permission denied") >= 3, denied
    return f"uid {STRANGER.split(':')[0]}, no capabilities; nothing can be written outside /tmp"


def log_lines(container: ServiceContainer) -> str:
    log = container.log()
    wrong = not_json(log)
    assert not wrong, f"{len(wrong)} lines are none: {wrong[:3]}"
    lines = [json.loads(line) for line in log.splitlines() if line]
    names = sorted({line["process"] for line in lines})
    return f"{len(lines)} lines, each a JSON object, of {', '.join(names)}"


def killed_runners(container: ServiceContainer) -> str:
    before = container.processes()
    assert len(before) >= len(REGISTRY), before
    load = Questioner(container.url, list(REGISTRY))
    load.start(4)
    load.wait_for(10)
    container.kill(list(before.values()))
    began = time.monotonic()
    for number, model in enumerate(REGISTRY):
        while (status := caption(container.url, model, 7_000_000 + int(began) * 10 + number)) != 200:
            assert time.monotonic() - began < 240, f"{model} answers {status}"
            time.sleep(0.5)
    took = time.monotonic() - began
    statuses = load.stop()
    after = container.processes()
    assert set(after) == set(before)
    assert not set(after.values()) & set(before.values()), (before, after)
    assert container.state()["Status"] == "running"
    return (
        f"{len(before)} processes killed at once; all models answered again after {took:.0f} s; by status: {statuses}"
    )


def stopped_under_load(container: ServiceContainer) -> str:
    load = Questioner(container.url, ["moondream", _MODEL])
    load.start(8)
    load.wait_for(16)
    began = time.monotonic()
    container.shell.run("podman", "--runtime", "runc", "stop", "--time", "120", container.name, timeout=180)
    took = time.monotonic() - began
    statuses = load.stop()
    code = container.state()["ExitCode"]
    assert code == 0, f"exit code {code}; by status: {statuses}"
    assert not set(statuses) - {200, 503, 0}, statuses
    return f"exit code 0 after {took:.1f} s; by status (0: refused or reset after the stop): {statuses}"


def out_of_memory(shell: Shell, image: str, port: int) -> str:
    name = "looksee-verify-small"
    try:
        container = start(shell, image, name, port, options=("--memory", _MEMORY))
        container.wait_ready()
        tries = 0
        began = time.monotonic()
        for number, model in enumerate([*REGISTRY] * 2):
            while (status := caption(container.url, model, 8_000_000 + number)) != 200:
                tries += 1
                assert time.monotonic() - began < 300, f"{model} answers {status}"
                time.sleep(1)
        kills = container.oom_kills()
        assert kills, f"the kernel killed nothing within {_MEMORY}"
        assert container.state()["Status"] == "running"
        return (
            f"five models in {_MEMORY}: {kills} processes killed by the kernel, each model answered, "
            f"{tries} requests asked again"
        )
    finally:
        remove(shell, name)


def pulled(shell: Shell, image: str, port: int, folder: Path) -> str:
    """`looksee pull` into a folder that is mounted, then serving from it, read-only and without a hub."""
    entry = REGISTRY[_MODEL]
    volume = folder / "weights"
    volume.mkdir()
    os.chown(volume, *map(int, STRANGER.split(":")))
    name = "looksee-verify-pulled"
    try:
        with serving({entry.hub_id: Repository.of(_SAMPLES / _MODEL, entry.revision)}) as hub:
            said = shell.run(
                *[*ONCE, "--read-only", "--tmpfs", "/tmp", "--user", STRANGER, "--network", "host"],
                *["--volume", f"{volume}:{WEIGHTS}", "--env", f"HF_ENDPOINT={hub.url}", image],
                *["python", "-m", "looksee", "pull", _MODEL],
                timeout=300,
            )
        options = ("--volume", f"{volume}:{WEIGHTS}:ro")
        settings = {"LOOKSEE_WEIGHTS": "hub", "HF_HUB_OFFLINE": "1", "LOOKSEE_MODELS": _MODEL}
        container = start(shell, image, name, port, options=options, **settings)
        container.wait_ready()
        status = caption(container.url, _MODEL, 9_000_000)
        assert status == 200, f"status {status}: {container.log()[-800:]}"
        return f"`{said.strip().splitlines()[-1]}`; then answered from the folder, read-only and offline"
    finally:
        remove(shell, name)


def baked(shell: Shell, image: str, port: int, build: Callable[[str, str], None]) -> str:
    """An image with a model's weights in it serves them without a hub. `build(tag, endpoint)` makes it."""
    entry = REGISTRY[_MODEL]
    name, tag = "looksee-verify-baked", f"{image}-baked"
    try:
        with serving({entry.hub_id: Repository.of(_SAMPLES / _MODEL, entry.revision)}) as hub:
            build(tag, hub.url)
        settings = {"LOOKSEE_WEIGHTS": "hub", "HF_HUB_OFFLINE": "1", "LOOKSEE_MODELS": _MODEL}
        container = start(shell, tag, name, port, options=(), **settings)
        container.wait_ready()
        status = caption(container.url, _MODEL, 9_500_000)
        assert status == 200, f"status {status}: {container.log()[-800:]}"
        return f"built with `BAKE={_MODEL}`; answered offline, as another user, from weights in the image"
    finally:
        remove(shell, name)
        shell.ok("podman", "image", "rm", "--force", tag)


def foreign_volume(shell: Shell, image: str, folder: Path) -> str:
    """A folder that the user may not write is told in a sentence."""
    entry = REGISTRY[_MODEL]
    volume = folder / "root-owned"
    volume.mkdir(mode=0o755)
    with serving({entry.hub_id: Repository.of(_SAMPLES / _MODEL, entry.revision)}) as hub:
        options = ["--network", "host", "--volume", f"{volume}:{WEIGHTS}", "--env", f"HF_ENDPOINT={hub.url}"]
        said = shell.read(*ONCE, *options, image, "python", "-m", "looksee", "pull", _MODEL, timeout=180)
    if not any(word in said for word in ("cannot be written", "ermission denied")):
        raise CommandFailed(f"nothing is said of the folder: {said[-500:]}")
    return f"`{said.strip().splitlines()[-1][:200]}`"
