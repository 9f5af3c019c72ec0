"""Compare the service with a plain FastAPI server in one run.

    make bench            # or: python -m bench --pictures 600

Both serve the same sample checkpoint on this machine with as many torch threads. Every picture is sent once, so that no
answer comes from the cache; the rows "from cache" send the same again. Of Moondream2, which no library runs, the plain
server has our own model, with the same settings, driven one request at a time; it is asked questions, about pictures
that nobody has seen and about pictures that were asked about before, and for answers of all skills.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import json
import os
import platform
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

from bench import questions
from bench.load import Load, run
from bench.pictures import captions, drawn
from looksee.models.registry import REGISTRY
from looksee.settings import settings
from looksee.settings.cpu import usable_cores

LOADS = ((1, 1), (1, 8), (1, 32), (8, 4))  # pictures in a request, requests at a time
ASKED = "moondream"
WARM_UP = 400
PREFIX_BYTES = 64 * 2**20  # kept of pictures by Moondream2 on both sides: soon full, as it is after a day's work
RESULTS = Path(__file__).parent / "results"
_HEADINGS = (
    "model", "server", "requests x items", "answers/s", "ratio", "p50 ms", "p95 ms", "p99 ms", "errors", "exact",
    "rows",
)  # fmt: skip


@contextlib.contextmanager
def server(*arguments: str) -> Iterator[str]:
    """Run a server module on a free port until the block ends; yields its URL."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    command = [sys.executable, "-m", *arguments, "--port", str(port)]
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    url = f"http://127.0.0.1:{port}"
    try:
        _wait(url, process)
        yield url
    finally:
        process.terminate()
        process.wait()


def _wait(url: str, process: subprocess.Popen[bytes]) -> None:
    end = time.monotonic() + 120
    while time.monotonic() < end and process.poll() is None:
        with contextlib.suppress(OSError):
            urllib.request.urlopen(f"{url}/openapi.json", timeout=5)
            return
        time.sleep(0.2)
    raise SystemExit("a server of the benchmark did not start")


def compare(model: str, plain_url: str, our_url: str, count: int) -> Iterator[dict[str, object]]:
    """The table's rows for one model: every load on both servers, and again on ours from its cache."""
    plain, ours = captions(plain_url, model), captions(our_url, model)
    for send in (plain, ours):
        asyncio.run(run(drawn(40, seed=1), send, 8, f"{model}, warming up"))
    for each, concurrency in LOADS:
        pictures = drawn(count // 4 if concurrency == 1 else count, seed=100 * each + concurrency)
        base = asyncio.run(run(pictures, plain, concurrency, f"{model}, plain FastAPI", each=each))
        before = mean_rows(our_url, model)
        load = asyncio.run(run(pictures, ours, concurrency, f"{model}, Looksee", each=each))
        batch = _mean(before, mean_rows(our_url, model))
        hits = asyncio.run(run(pictures, ours, concurrency, f"{model}, from cache", each=each))
        yield _row(model, "plain FastAPI", base, base)
        yield _row(model, "Looksee", load, base, batch)
        yield _row(model, "Looksee, from cache", hits, base)


def compare_questions(model: str, plain_url: str, our_url: str, count: int) -> Iterator[dict[str, object]]:
    """The rows for a model of many skills: questions about cold and repeated pictures, and all skills in turn."""
    plain, ours = questions.requests(plain_url, model), questions.requests(our_url, model)
    for send in (plain, ours):  # until what is kept of pictures has reached its bound
        asyncio.run(run(questions.cold(WARM_UP, seed=0), send, 16, f"{model}, warming up"))
    for concurrency in (1, 8, 32):
        some = count // 4 if concurrency == 1 else count
        asked, again = questions.cold(some, seed=concurrency), questions.repeated(some, seed=concurrency)
        mixed = questions.mixed(some, seed=concurrency)
        base = asyncio.run(run(asked, plain, concurrency, f"{model}, plain FastAPI"))
        before = mean_rows(our_url, model)
        cold = asyncio.run(run(asked, ours, concurrency, f"{model}, cold pictures"))
        between = mean_rows(our_url, model)
        warm = asyncio.run(run(again, ours, concurrency, f"{model}, repeated pictures"))
        after = mean_rows(our_url, model)
        yield _row(model, "plain FastAPI, questions, cold pictures", base, base)
        yield _row(model, "Looksee, questions, cold pictures", cold, base, _mean(before, between))
        yield _row(model, "Looksee, questions, repeated pictures", warm, base, _mean(between, after))
        base = asyncio.run(run(mixed, plain, concurrency, f"{model}, plain FastAPI"))
        load = asyncio.run(run(mixed, ours, concurrency, f"{model}, all skills"))
        yield _row(model, "plain FastAPI, all skills", base, base)
        yield _row(model, "Looksee, all skills", load, base, _mean(after, mean_rows(our_url, model)))


def _mean(before: tuple[float, float], after: tuple[float, float]) -> float:
    return (after[0] - before[0]) / max(1, after[1] - before[1])


def mean_rows(url: str, model: str) -> tuple[float, float]:
    """Sum and count of the decode steps' rows so far."""
    text = urllib.request.urlopen(f"{url}/metrics", timeout=10).read().decode()
    pattern = rf'^looksee_batch_rows_(sum|count)\{{[^}}]*model="{model}"[^}}]*\}} (\S+)$'
    found = dict(re.findall(pattern, text, re.MULTILINE))
    return float(found.get("sum", 0)), float(found.get("count", 0))


def main() -> None:
    parser = argparse.ArgumentParser(description="Throughput beside a plain server, in one run.")
    parser.add_argument("models", nargs="*", default=list(REGISTRY), help="default: all")
    parser.add_argument("--pictures", type=int, default=480, help="pictures for each load (a quarter of it at 1)")
    options = parser.parse_args()
    os.environ["LOOKSEE_MOONDREAM_PREFIX_CACHE_BYTES"] = str(PREFIX_BYTES)
    threads = settings().torch_thread_count()
    rows: list[dict[str, object]] = []
    with server("deploy.local", "--host", "127.0.0.1", "--weights", "sample") as our_url:
        for model in options.models:
            with server("bench.plain", model, "--threads", str(threads)) as plain_url:
                measure = compare_questions if model == ASKED else compare
                rows += measure(model, plain_url, our_url, options.pictures)
    print(f"\n{_machine(threads)}\n")
    print("| " + " | ".join(_HEADINGS) + " |")
    print("|" + "---|" * len(_HEADINGS))
    for row in rows:
        print("| " + " | ".join(str(value) for value in row.values()) + " |")
    RESULTS.mkdir(exist_ok=True)
    file = RESULTS / f"{datetime.now(UTC):%Y%m%d-%H%M%S}.json"
    file.write_text(json.dumps({"machine": _machine(threads), "rows": rows}, indent=1) + "\n")
    print(f"\nwrote {file}")


def _row(model: str, name: str, load: Load, base: Load, batch: float | None = None) -> dict[str, object]:
    figures = asdict(load)
    return {
        "model": model,
        "server": name,
        "load": f"{load.concurrency} x {load.each}",
        "rate": round(load.rate, 1),
        "ratio": round(load.rate / base.rate, 2),
        **{name: round(figures[name] * 1000, 1) for name in ("p50", "p95", "p99")},
        "errors": load.errors,
        "exact": f"{load.right / load.items:.1%}",
        "rows": "" if batch is None else round(batch, 1),
    }


def _machine(threads: int) -> str:
    cores = usable_cores()
    return f"{platform.machine()}, {cores} cores shared by servers and load, no GPU, {threads} torch thread(s) each"


if __name__ == "__main__":
    main()
