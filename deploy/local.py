"""Serve on this machine: a Redis if none is configured, then `bentoml serve`. Ctrl-C or SIGTERM ends all of it.

python -m deploy.local [--port N] [--host ADDRESS]        # or: make serve
"""

from __future__ import annotations

import argparse
import contextlib
import os
import signal
import socket
import subprocess
import sys
import tempfile
from pathlib import Path
from types import FrameType

from dotenv import load_dotenv

from deploy import redis_server
from looksee.core import heartbeat
from looksee.settings import settings

ROOT = Path(__file__).parent.parent

_SPARE = 30.0  # seconds: what ends takes this long at most beyond the time that its requests have


def main() -> int:
    parser = argparse.ArgumentParser(description="Serve Looksee on this machine.")
    parser.add_argument("--port", type=int, help="default: PORT, else 3000")
    parser.add_argument("--host", help="the address to listen on; by default every one of IPv4 and IPv6")
    parser.add_argument("--weights", choices=("sample", "hub"), help="default: LOOKSEE_WEIGHTS, else sample")
    options = parser.parse_args()
    os.chdir(ROOT)
    signal.signal(signal.SIGTERM, _stop)
    signal.signal(signal.SIGINT, _stop)  # also where a shell started us in the background with SIGINT ignored
    with contextlib.ExitStack() as stack, contextlib.suppress(KeyboardInterrupt):
        load_dotenv(".env")
        os.environ["LOOKSEE_WEIGHTS"] = options.weights or os.environ.get("LOOKSEE_WEIGHTS") or "sample"
        config = settings()
        port = options.port or config.port
        host = options.host or every_address()
        if config.redis():
            print("looksee: using the Redis that is configured", flush=True)
        else:
            os.environ["REDIS_URL"] = stack.enter_context(redis_server.running(preexec=ends_with_parent))
            print(f"looksee: started a Redis of its own ({redis_server.executable()})", flush=True)
        os.environ.setdefault("BENTOML_CONFIG", str(ROOT / "configuration.yaml"))
        # BentoML empties its metrics folder at each start: two services on one host must not share a home.
        if "BENTOML_HOME" not in os.environ:
            os.environ["BENTOML_HOME"] = stack.enter_context(tempfile.TemporaryDirectory(prefix="looksee-bentoml-"))
        print(f"looksee: serving {config.weights} weights on {url(host, port)}", flush=True)
        return _serve(port, host, patience=config.drain_seconds + _SPARE)
    return 0


def every_address() -> str:
    """The host that stands for all addresses of this machine, of both families if it has them.

    The name localhost is one of either family, and some clients try no other.
    """
    with contextlib.suppress(OSError), socket.socket(socket.AF_INET6) as probe:
        probe.bind(("::", 0))
        if not probe.getsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY):
            return "::"
    return "0.0.0.0"


def url(host: str, port: int) -> str:
    """Where a client on this machine finds what listens on `host`."""
    if host == "::":
        return f"http://localhost:{port}"
    name = "127.0.0.1" if host == "0.0.0.0" else host
    return f"http://[{name}]:{port}" if ":" in name else f"http://{name}:{port}"


def _serve(port: int, host: str, *, patience: float) -> int:
    """Serve until it ends or is interrupted. Then it has `patience` seconds, or until the next interruption."""
    command = [sys.executable, "-m", "bentoml", "serve", "service:Looksee", "--port", str(port), "--host", host]
    # A session of its own, so that a Ctrl-C in the terminal reaches it through us alone, once.
    server = subprocess.Popen(command, start_new_session=True, preexec_fn=ends_with_parent)
    try:
        return server.wait()
    finally:
        if server.poll() is None:
            server.terminate()
            try:
                server.wait(timeout=patience)
            except (subprocess.TimeoutExpired, KeyboardInterrupt):
                server.terminate()  # the second time: it kills its processes, which are in sessions of their own
                try:
                    server.wait(timeout=_SPARE)
                except subprocess.TimeoutExpired:
                    os.killpg(server.pid, signal.SIGKILL)
                    server.wait()


def ends_with_parent() -> None:
    """Of a process that is about to start: be told to end when this one dies, which cannot do it then."""
    heartbeat.end_with_parent(signal.SIGTERM)


def _stop(number: int, frame: FrameType | None) -> None:
    raise KeyboardInterrupt


if __name__ == "__main__":
    raise SystemExit(main())
