"""The service that is asked, with a Redis that can be killed, and the processes that it consists of."""

from __future__ import annotations

import contextlib
import os
import signal
import socket
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.request
from collections.abc import Collection, Iterator
from dataclasses import dataclass, field
from pathlib import Path

import psutil

from deploy import redis_server
from looksee.models.registry import REGISTRY

ROOT = Path(__file__).parents[2]
GATEWAY, SUPERVISOR, REDIS = "gateway", "supervisor", "redis"
REQUEST_SECONDS = 30  # until a request must have been answered
_PATIENCE = 180.0  # seconds until the service must be ready
# Small ones, so that the caches are full, and drop what was used least, before anything is measured.
_REDIS_MEMORY = "4mb"
_KEPT_BYTES = str(4 * 2**20)
_KEPT = ("FEATURE_CACHE_BYTES", "PREFIX_CACHE_BYTES")


class OwnRedis:
    """A Redis on a port, which may die and come back, empty."""

    def __init__(self) -> None:
        self.port = _free_port()
        self.url = f"redis://127.0.0.1:{self.port}/0"
        self.process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        command = [redis_server.executable(), "--port", str(self.port), "--bind", "127.0.0.1", "--save", ""]
        command += ["--maxmemory", _REDIS_MEMORY, "--maxmemory-policy", "allkeys-lru"]
        self.process = subprocess.Popen(command, stdout=subprocess.DEVNULL, start_new_session=True)

    def kill(self) -> None:
        if self.process is not None:
            self.process.kill()
            self.process.wait()
            self.process = None


@dataclass
class Server:
    """A running service. Its temporary files are in `temporary`, and in `log` what it wrote."""

    url: str
    process: subprocess.Popen[bytes]
    redis: OwnRedis
    temporary: Path = field(repr=False)
    log: Path = field(repr=False)

    def roles(self) -> dict[str, psutil.Process]:
        """The processes by what they do: a model's name, the gateway, what supervises them, Redis."""
        found = {}
        with contextlib.suppress(psutil.NoSuchProcess):
            found[SUPERVISOR] = psutil.Process(self.process.pid)
            for child in found[SUPERVISOR].children(recursive=True):
                with contextlib.suppress(psutil.NoSuchProcess):
                    words = child.cmdline()
                    if "_bentoml_impl.worker.service" in words:
                        named = "--service-name" in words and words[words.index("--service-name") + 1]
                        found[_role(named) if named else GATEWAY] = child
        if self.redis.process is not None:
            with contextlib.suppress(psutil.NoSuchProcess):
                found[REDIS] = psutil.Process(self.redis.process.pid)
        return found

    def metric(self, name: str) -> float:
        """The sum of a metric's samples."""
        with urllib.request.urlopen(f"{self.url}/metrics", timeout=10) as answer:
            lines = answer.read().decode().splitlines()
        return sum(float(line.rpartition(" ")[2]) for line in lines if line.partition("{")[0].partition(" ")[0] == name)


def _role(service: str) -> str:
    """`InternVlm` is `intern_vlm`."""
    spelt = {name.replace("_", ""): name for name in REGISTRY}
    return spelt.get(service.lower(), GATEWAY if service == "Looksee" else service)


@contextlib.contextmanager
def serving(models: Collection[str], capacity: int) -> Iterator[Server]:
    """The service with the sample weights of `models` in float32, `capacity` of them in memory (0: all).

    Its Redis does not run yet: until it is started, nothing is cached.
    """
    port, redis = _free_port(), OwnRedis()
    with tempfile.TemporaryDirectory(prefix="looksee-soak-") as home:
        temporary, log = Path(home) / "tmp", Path(home) / "log"
        temporary.mkdir()
        environment = {
            **{name: value for name, value in os.environ.items() if not name.startswith(("LOOKSEE_", "BENTOML_"))},
            **{"LOOKSEE_WEIGHTS": "sample", "LOOKSEE_DTYPE": "float32", "LOOKSEE_TORCH_THREADS": "1"},
            **{"MODEL_CAPACITY": str(capacity), "REDIS_URL": redis.url, "TMPDIR": str(temporary)},
            **{"BENTOML_HOME": home, "BENTOML_CONFIG": str(ROOT / "configuration.yaml")},
            "LOOKSEE_REQUEST_TIMEOUT_SECONDS": str(REQUEST_SECONDS),
            **{f"LOOKSEE_{name.upper()}_URL": "http://127.0.0.1:9" for name in REGISTRY if name not in models},
            **_small_caches(models),
        }
        command = [sys.executable, "-m", "bentoml", "serve", "service:Looksee", "--port", str(port)]
        with log.open("wb") as written:
            process = subprocess.Popen(
                command, cwd=ROOT, env=environment, stdout=written, stderr=subprocess.STDOUT, start_new_session=True
            )
        server = Server(f"http://127.0.0.1:{port}", process, redis, temporary, log)
        try:
            _wait(server)
            yield server
        finally:
            _stop(server)


def _small_caches(models: Collection[str]) -> dict[str, str]:
    settings = {name: REGISTRY[name].settings.model_fields for name in models}
    return {
        f"LOOKSEE_{name.upper()}_{kept}": _KEPT_BYTES
        for name, fields in settings.items()
        for kept in _KEPT
        if kept.lower() in fields
    }


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


def _wait(server: Server) -> None:
    end = time.monotonic() + _PATIENCE
    while time.monotonic() < end and server.process.poll() is None:
        with contextlib.suppress(OSError), urllib.request.urlopen(f"{server.url}/readyz", timeout=5):
            return
        time.sleep(0.2)
    raise SystemExit(f"the service did not start:\n{server.log.read_text()}")


def _stop(server: Server) -> None:
    """End the service and all that belongs to it, also what a fault has stopped."""
    processes = list(server.roles().values())
    for process in processes:
        with contextlib.suppress(psutil.NoSuchProcess):
            process.resume()
    server.process.send_signal(signal.SIGTERM)
    try:
        server.process.wait(timeout=_PATIENCE)
    except subprocess.TimeoutExpired:
        server.process.kill()
        server.process.wait()
    for process in processes:
        with contextlib.suppress(psutil.NoSuchProcess):
            process.kill()
    server.redis.kill()
