"""Compare the service with other ways to serve the same models, in one run; or measure the published sizes.

    make bench                       # or: python -m bench; three rounds of all five models, about 20 minutes
    python -m bench blip --rounds 1  # one model
    python -m bench --published      # BLIP, InternVL3 and Moondream2 at their published sizes, random weights

Five contenders caption the same drawn pictures with the same sample checkpoint and as many torch threads: a plain
FastAPI server that runs the library's `generate` one picture at a time, LitServe and BentoML's `batchable` around the
library's batched `generate`, the service, and whole batches in one process without HTTP, which is the ideal. Of
Moondream2, which no library runs, the others have this project's own model. Every picture is sent once to each, so that
no answer comes from the cache; the rows "from cache" send the same again. In a round each load is given to all in turn.

A round that was measured is kept in bench/results/serving; a run that was stopped goes on after it. `--again` begins
anew, and so does a new commit. `python -m bench.report` puts what was measured into docs/benchmarks.md.
"""

from __future__ import annotations

import argparse
import contextlib
import os
import sys
import time
from functools import partial
from typing import Any

from bench.machine import RESULTS, commit, described
from bench.published import __main__ as published
from bench.serving import contenders, tables
from bench.serving.contenders import Conditions
from bench.serving.processes import server
from bench.serving.rounds import Measured, measure
from bench.skills import PREFIX_BYTES
from looksee.models.registry import REGISTRY
from looksee.settings import settings

_PUBLISHED = "--published"


def main(arguments: list[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description="The service beside other ways to serve the same models, in one run.")
    parser.add_argument("models", nargs="*", default=[], help=f"default: all of {', '.join(REGISTRY)}")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--pictures", type=int, default=256, help="at 32 callers; half of them at 8, a fifth at 1")
    parser.add_argument("--batch-timeout", type=float, default=0.01, help="what LitServe waits for company, seconds")
    parser.add_argument("--again", action="store_true", help="measure anew what was measured already")
    parser.add_argument(_PUBLISHED, action="store_true", help="measure the published sizes instead: see its --help")
    given = sys.argv[1:] if arguments is None else arguments
    if _PUBLISHED in given:  # which has options of its own
        published.main([one for one in given if one != _PUBLISHED])
        return
    serve(parser.parse_args(given))


def serve(options: argparse.Namespace) -> None:
    """Measure the models' missing rounds; print their tables."""
    os.environ["LOOKSEE_MOONDREAM_PREFIX_CACHE_BYTES"] = str(PREFIX_BYTES)
    config = settings()
    threads = config.torch_thread_count()
    started = time.monotonic()
    for name, why in contenders.absent().items():
        print(f"{name} is left out: {why}", flush=True)
    found: list[Measured] = []
    with contextlib.ExitStack() as stack:
        our_url = ""
        for model in options.models or list(REGISTRY):
            conditions = Conditions(threads, config.model(model).max_batch_rows, options.batch_timeout)
            file = RESULTS / "serving" / f"{model}.json"
            told: dict[str, Any] = {
                "machine": described(threads),
                "commit": commit(),
                "pictures": options.pictures,
                "rows": conditions.rows,
                "batch_timeout": conditions.batch_timeout,
                "absent": contenders.absent(),
            }
            measured = Measured(model, told) if options.again else Measured.begun(file, model, told)
            found.append(measured)
            if all(measured.has(number, measured.servers) for number in range(options.rounds)):
                print(f"{model}: {options.rounds} rounds were measured already ({file})", flush=True)
                continue
            our_url = our_url or stack.enter_context(
                server("deploy.local", "--host", "127.0.0.1", "--weights", "sample")
            )
            print(f"{model}: starting servers, {time.monotonic() - started:.0f} s since the start", flush=True)
            with contenders.all_of(model, our_url, conditions) as all_of_them:
                measure(
                    measured,
                    file,
                    all_of_them,
                    rounds=options.rounds,
                    pictures=options.pictures,
                    rows=partial(contenders.mean_rows, our_url, model),
                )
            print(f"{tables.table(list(measured.summary()))}\n", flush=True)
    lines = [line for one in found for line in one.summary()]
    text = f"{described(threads)}\n\n{tables.table(lines)}\n"
    RESULTS.mkdir(parents=True, exist_ok=True)
    (RESULTS / "serving.md").write_text(text)
    print(f"\n{text}\nwrote {RESULTS / 'serving'}/*.json and serving.md in {time.monotonic() - started:.0f} s")


if __name__ == "__main__":
    main()
