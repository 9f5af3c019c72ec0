"""Compare the service with a plain FastAPI server in one run.

    make bench            # or: python -m bench --pictures 600

Both serve the same sample checkpoint on this machine with as many torch threads. Every picture is sent once, so that no
answer comes from the cache; the last rows send pictures again that the cache knows.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import json
import os
import platform
import random
import re
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator
from dataclasses import asdict
from datetime import UTC, datetime
from pathlib import Path

from bench.load import Load, Picture, run
from models.weights import SAMPLES
from samples import scenes
from settings import settings

LOADS = ((1, 1), (1, 8), (1, 32), (8, 4))  # pictures in a request, requests at a time
RESULTS = Path(__file__).parent / "results"
_SIDES = (160, 480)  # pixels
_HEADINGS = (
    "server", "requests x pictures", "captions/s", "ratio", "p50 ms", "p95 ms", "p99 ms", "errors", "exact", "rows",
)  # fmt: skip


def drawn(count: int, seed: int) -> list[Picture]:
    """Distinct scenes as JPEG files, with their captions."""
    found = []
    for number in range(count):
        rng = random.Random(f"bench:{seed}:{number}")
        scene = scenes.compose(rng, sides=_SIDES)
        found.append((scenes.encode(scenes.draw(scene, rng), rng, ("JPEG",)), scene.caption()))
    return found


@contextlib.contextmanager
def server(*arguments: str) -> Iterator[str]:
    """Run a server module on a free port until the block ends; yields its URL once it answers a caption."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    command = [sys.executable, "-m", *arguments, "--port", str(port)]
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    url = f"http://127.0.0.1:{port}"
    try:
        _warm(url, process)
        yield url
    finally:
        process.terminate()
        process.wait()


def _warm(url: str, process: subprocess.Popen[bytes]) -> None:
    end = time.monotonic() + 120
    while time.monotonic() < end and process.poll() is None:
        with contextlib.suppress(OSError):
            urllib.request.urlopen(f"{url}/openapi.json", timeout=5)
            load = asyncio.run(run(url, drawn(40, seed=1), 8, "warming up"))
            if load.errors == 0:
                return
        time.sleep(0.2)
    raise SystemExit("a server of the benchmark did not start")


def mean_rows(url: str) -> tuple[float, float]:
    """Sum and count of the decode steps' rows so far."""
    text = urllib.request.urlopen(f"{url}/metrics", timeout=10).read().decode()
    found = dict(re.findall(r"^looksee_batch_rows_(sum|count)\{[^}]*\} (\S+)$", text, re.MULTILINE))
    return float(found.get("sum", 0)), float(found.get("count", 0))


def main() -> None:
    parser = argparse.ArgumentParser(description="Throughput beside a plain server, in one run.")
    parser.add_argument("--pictures", type=int, default=600, help="pictures for each load (a quarter of it at 1)")
    options = parser.parse_args()
    threads = settings().threads()
    plain = ("bench.plain", str(SAMPLES / "blip"), "--threads", str(threads))
    rows: list[dict[str, object]] = []
    with server(*plain) as plain_url, server("deploy.local", "--host", "127.0.0.1", "--weights", "sample") as our_url:
        for each, concurrency in LOADS:
            count = options.pictures // 4 if concurrency == 1 else options.pictures
            pictures = drawn(count, seed=100 * each + concurrency)
            base = asyncio.run(run(plain_url, pictures, concurrency, "plain FastAPI", each=each))
            before = mean_rows(our_url)
            ours = asyncio.run(run(our_url, pictures, concurrency, "Looksee", each=each))
            after = mean_rows(our_url)
            hits = asyncio.run(run(our_url, pictures, concurrency, "Looksee, from cache", each=each))
            batch = (after[0] - before[0]) / max(1, after[1] - before[1])
            rows += [_row("plain FastAPI", base, base), _row("Looksee", ours, base, batch)]
            rows += [_row("Looksee, from cache", hits, base)]
    print(f"\n{_machine(threads)}\n")
    print("| " + " | ".join(_HEADINGS) + " |")
    print("|" + "---|" * len(_HEADINGS))
    for row in rows:
        print("| " + " | ".join(str(value) for value in row.values()) + " |")
    RESULTS.mkdir(exist_ok=True)
    file = RESULTS / f"{datetime.now(UTC):%Y%m%d-%H%M%S}.json"
    file.write_text(json.dumps({"machine": _machine(threads), "rows": rows}, indent=1) + "\n")
    print(f"\nwrote {file}")


def _row(name: str, load: Load, base: Load, batch: float | None = None) -> dict[str, object]:
    figures = asdict(load)
    return {
        "server": name,
        "load": f"{load.concurrency} x {load.each}",
        "rate": round(load.rate, 1),
        "ratio": round(load.rate / base.rate, 2),
        **{name: round(figures[name] * 1000, 1) for name in ("p50", "p95", "p99")},
        "errors": load.errors,
        "exact": f"{load.right / load.pictures:.1%}",
        "rows": "" if batch is None else round(batch, 1),
    }


def _machine(threads: int) -> str:
    cores = len(os.sched_getaffinity(0))
    return f"{platform.machine()}, {cores} cores shared by servers and load, no GPU, {threads} torch thread(s) each"


if __name__ == "__main__":
    main()
