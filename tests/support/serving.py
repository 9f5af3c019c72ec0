"""Start the real service for tests: own port, own BentoML home, own Redis, ended by the process id it began with."""

from __future__ import annotations

import contextlib
import os
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Collection, Iterator
from dataclasses import dataclass, field
from pathlib import Path

import httpx
import psutil

from deploy import redis_server
from looksee.models.registry import REGISTRY

ROOT = Path(__file__).parents[2]
API_KEY = "test-key"
CLIENT_KEY = "client-key"  # of the shared service that asks for one
EVERY = tuple(REGISTRY)
QUEUE = 4  # jobs that wait in a runner of the shared service with a short queue, and rows of its batches
PATIENCE = 120.0  # seconds for what takes one or two on a machine that does nothing else
# The environment without what would set the service or BentoML.
CLEAN = {name: value for name, value in os.environ.items() if not name.startswith(("LOOKSEE_", "REDIS_", "BENTOML_"))}


@dataclass
class Service:
    """A running service. `log` grows while it runs; `startup` is the seconds that it took to be ready."""

    url: str
    process: subprocess.Popen[bytes]
    log: Path
    redis_url: str
    client: httpx.Client = field(repr=False)
    startup: float = 0.0

    def processes(self, name: str) -> list[psutil.Process]:
        """The worker processes of a BentoML service, by its name (`Blip`) or `Looksee` for the gateway."""
        found = []
        for child in psutil.Process(self.process.pid).children(recursive=True):
            with contextlib.suppress(psutil.NoSuchProcess):
                words = child.cmdline()
                named = words[words.index("--service-name") + 1] if "--service-name" in words else "Looksee"
                if "_bentoml_impl.worker.service" in words and named == name:
                    found.append(child)
        return found

    def metric(self, name: str, **labels: str) -> float:
        """The sum of a metric's samples that carry these labels."""
        total = 0.0
        for line in self.client.get("/metrics").text.splitlines():
            sample, _, value = line.rpartition(" ")
            if sample.partition("{")[0] == name and all(f'{key}="{text}"' in sample for key, text in labels.items()):
                total += float(value)
        return total


def without(*models: str) -> dict[str, str]:
    """Settings that leave the processes of these models out: their runners are said to be where no server is."""
    return {f"LOOKSEE_{model.upper()}_URL": "http://127.0.0.1:9" for model in models}


def built(home: Path) -> Path:
    """The folder of a bento, made of this tree with `home` as BENTOML_HOME."""
    env = {**CLEAN, "BENTOML_HOME": str(home), "BENTOML_DO_NOT_TRACK": "True"}
    subprocess.run([sys.executable, "-m", "bentoml", "build"], cwd=ROOT, env=env, check=True, capture_output=True)
    (description,) = (home / "bentos" / "looksee").glob("*/bento.yaml")
    return description.parent


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


@contextlib.contextmanager
def serve(
    *command: str,
    models: Collection[str] = ("blip",),
    redis_url: str | None = None,
    host: str = "127.0.0.1",
    port: str = "",
    **env: str,
) -> Iterator[Service]:
    """Run `bentoml serve` (or `command`, in which {port} is filled in) until the block ends.

    Only the runners of `models` are started. `redis_url=None` starts a Redis for it; an empty string serves without
    one. An empty variable is left out. `host` is where the command serves, on a
    free port unless told otherwise.
    """
    port = port or str(free_port())
    with contextlib.ExitStack() as stack:
        home = stack.enter_context(tempfile.TemporaryDirectory(prefix="looksee-test-"))
        url = stack.enter_context(redis_server.running()) if redis_url is None else redis_url
        settings = {"LOOKSEE_WEIGHTS": "sample", "API_KEY": API_KEY, "REDIS_URL": url, "BENTOML_HOME": home}
        settings |= {"BENTOML_CONFIG": str(ROOT / "configuration.yaml"), "LOOKSEE_TORCH_THREADS": "1"}
        settings |= without(*(name for name in EVERY if name not in models))
        log = Path(home) / "log"
        words = command or (sys.executable, "-m", "bentoml", "serve", "service:Looksee", "--port", "{port}")
        began = time.monotonic()
        process = subprocess.Popen(
            [word.format(port=port) for word in words],
            cwd=ROOT,
            env={name: value for name, value in {**os.environ, **settings, **env}.items() if value},
            stdout=stack.enter_context(log.open("wb")),
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
        base = f"http://{host}:{port}"
        client = stack.enter_context(httpx.Client(base_url=base, timeout=PATIENCE))
        service = Service(base, process, log, url, client)
        try:
            _wait(service)
            service.startup = time.monotonic() - began
            yield service
        finally:
            stop(process)


def stop(process: subprocess.Popen[bytes]) -> None:
    """End a server and whatever it started."""
    children = psutil.Process(process.pid).children(recursive=True) if process.poll() is None else []
    process.send_signal(signal.SIGTERM)
    try:
        process.wait(timeout=PATIENCE)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()
    for child in children:
        with contextlib.suppress(psutil.NoSuchProcess):
            child.kill()


def _wait(service: Service) -> None:
    end = time.monotonic() + PATIENCE
    while time.monotonic() < end:
        if service.process.poll() is not None:
            break
        with contextlib.suppress(httpx.TransportError):
            if service.client.get("/readyz", timeout=5).status_code == 200:
                return
        time.sleep(0.1)
    raise RuntimeError(f"the service did not start:\n{service.log.read_text()}")
