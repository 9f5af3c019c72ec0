"""Moondream2 for all its skills: the service beside a plain server with the same model, one request at a time.

    python -m bench.skills

Questions about pictures that nobody has seen and about pictures that were asked about before, and answers of all skills
in turn. No library runs Moondream2, so the plain server has this project's own model, with the same settings.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
from collections.abc import Iterator

from bench import questions
from bench.load import Load, run
from bench.machine import RESULTS, commit, described
from bench.serving import tables
from bench.serving.contenders import mean_rows
from bench.serving.functions import OWN
from bench.serving.processes import server
from looksee.settings import settings

WARM_UP = 400
PREFIX_BYTES = 64 * 2**20  # kept of pictures by Moondream2 on both sides: soon full, as it is after a day's work


def compare(plain_url: str, our_url: str, count: int) -> Iterator[dict[str, object]]:
    """The table's rows: questions about cold and repeated pictures, and all skills in turn."""
    plain, ours = questions.requests(plain_url, OWN), questions.requests(our_url, OWN)
    for send in (plain, ours):  # until what is kept of pictures has reached its bound
        asyncio.run(run(questions.cold(WARM_UP, seed=0), send, 16, "warming up"))
    for concurrency in (1, 8, 32):
        some = count // 4 if concurrency == 1 else count
        asked, again = questions.cold(some, seed=concurrency), questions.repeated(some, seed=concurrency)
        mixed = questions.mixed(some, seed=concurrency)
        base = asyncio.run(run(asked, plain, concurrency, "plain FastAPI"))
        before = mean_rows(our_url, OWN)
        cold = asyncio.run(run(asked, ours, concurrency, "cold pictures"))
        between = mean_rows(our_url, OWN)
        warm = asyncio.run(run(again, ours, concurrency, "repeated pictures"))
        after = mean_rows(our_url, OWN)
        yield _row("plain FastAPI, questions, cold pictures", base, base)
        yield _row("Looksee, questions, cold pictures", cold, base, _mean(before, between))
        yield _row("Looksee, questions, repeated pictures", warm, base, _mean(between, after))
        base = asyncio.run(run(mixed, plain, concurrency, "plain FastAPI"))
        load = asyncio.run(run(mixed, ours, concurrency, "all skills"))
        yield _row("plain FastAPI, all skills", base, base)
        yield _row("Looksee, all skills", load, base, _mean(after, mean_rows(our_url, OWN)))


def main() -> None:
    parser = argparse.ArgumentParser(description="Moondream2's skills beside a plain server.")
    parser.add_argument("--requests", type=int, default=480, help="requests for each load (a quarter of it at 1)")
    options = parser.parse_args()
    os.environ["LOOKSEE_MOONDREAM_PREFIX_CACHE_BYTES"] = str(PREFIX_BYTES)
    threads = settings().torch_thread_count()
    with (
        server("deploy.local", "--host", "127.0.0.1", "--weights", "sample") as our_url,
        server("bench.serving.plain", OWN, "--threads", str(threads)) as plain_url,
    ):
        rows = list(compare(plain_url, our_url, options.requests))
    print(f"\n{described(threads)}\n\n{tables.skills(rows)}")
    RESULTS.mkdir(exist_ok=True)
    file = RESULTS / "skills.json"
    file.write_text(json.dumps({"machine": described(threads), "commit": commit(), "rows": rows}, indent=1) + "\n")
    print(f"\nwrote {file}")


def _mean(before: tuple[float, float], after: tuple[float, float]) -> float:
    return (after[0] - before[0]) / max(1, after[1] - before[1])


def _row(name: str, load: Load, base: Load, batch: float | None = None) -> dict[str, object]:
    return {
        "server": name,
        "callers": load.concurrency,
        "rate": load.rate,
        "ratio": load.rate / base.rate,
        "p50": load.p50,
        "p99": load.p99,
        "errors": load.errors,
        "right": load.right / load.items,
        "rows": batch,
    }


if __name__ == "__main__":
    main()
