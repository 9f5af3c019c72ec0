"""Servers as processes of their own, each on a free port, ended when a block ends."""

from __future__ import annotations

import contextlib
import os
import signal
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator, Mapping, Sequence

_PATIENCE = 180.0  # seconds until a server has loaded its model


@contextlib.contextmanager
def server(*arguments: str, path: str = "/openapi.json", environment: Mapping[str, str] | None = None) -> Iterator[str]:
    """Run `python -m arguments --port N` until the block ends; yields its URL once `path` is answered.

    Raises SystemExit when it does not start.
    """
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    command = [sys.executable, "-m", *arguments, "--port", str(port)]
    with running(command, environment) as process:
        url = f"http://127.0.0.1:{port}"
        _wait(f"{url}{path}", process, arguments[0])
        yield url


@contextlib.contextmanager
def running(
    command: Sequence[str], environment: Mapping[str, str] | None = None, *, piped: bool = False
) -> Iterator[subprocess.Popen[str]]:
    """Run a command in a session of its own, whose processes all end with the block."""
    pipe = subprocess.PIPE if piped else subprocess.DEVNULL
    process = subprocess.Popen(
        command,
        stdin=pipe,
        stdout=pipe,
        stderr=subprocess.DEVNULL,
        env={**os.environ, **(environment or {})},
        text=True,
        start_new_session=True,
    )
    try:
        yield process
    finally:
        process.terminate()
        try:
            process.wait(timeout=40)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
        with contextlib.suppress(ProcessLookupError):  # workers that their server has left behind
            os.killpg(process.pid, signal.SIGTERM)
        for stream in (process.stdin, process.stdout):
            if stream is not None:
                stream.close()


def _wait(url: str, process: subprocess.Popen[str], name: str) -> None:
    end = time.monotonic() + _PATIENCE
    while time.monotonic() < end and process.poll() is None:
        with contextlib.suppress(OSError), urllib.request.urlopen(url, timeout=5):
            return
        time.sleep(0.2)
    raise SystemExit(f"a server of the benchmark did not start: {name}")
