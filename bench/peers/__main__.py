"""InternVL3-1B's decoder in this project's core and in OpenVINO, on the CPU, in one interleaved run.

    python -m bench.peers

24 layers, 896 wide, 14 heads of which 2 have keys, 151,674 words; random weights, the same for all. Measured are the
pass over a prompt of 280 tokens and a step behind it, of 1 row and of 8. OpenVINO is no part of the project: `pip
install openvino nncf`. What cannot be measured is named, with the reason. Looksee's pass over a prompt leaves the last
token to the first step, and computes no logits; OpenVINO's computes those of the last token.
"""

from __future__ import annotations

import argparse
import json
import statistics
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch

from bench.machine import RESULTS, commit, described
from bench.peers import engines, tables
from bench.peers.engines import DecoderEngine
from bench.published.__main__ import cache_folder, checkpoint
from looksee.settings.cpu import usable_cores


def measure(
    found: Sequence[DecoderEngine], *, rows: Sequence[int], length: int, steps: int, rounds: int
) -> list[dict[str, Any]]:
    """Medians over the rounds, in each of which every engine has its turn; the first round warms up."""
    prefills: dict[tuple[str, int], list[float]] = {}
    stepped: dict[tuple[str, int], list[float]] = {}
    for number in range(rounds + 1):
        print(f"round {number} of {rounds}", flush=True)
        for count in rows:
            for engine in found:
                started = time.perf_counter()
                engine.prefill(count, length)
                prefill = time.perf_counter() - started
                times = []
                for _ in range(steps):
                    started = time.perf_counter()
                    engine.step()
                    times.append(time.perf_counter() - started)
                if number:
                    prefills.setdefault((engine.name, count), []).append(prefill)
                    stepped.setdefault((engine.name, count), []).append(statistics.median(times))
    return [
        {
            "engine": engine.name,
            "loads": [
                {
                    "rows": count,
                    "prefill_seconds": statistics.median(prefills[engine.name, count]),
                    "step_seconds": statistics.median(stepped[engine.name, count]),
                }
                for count in rows
            ],
        }
        for engine in found
    ]


def main(arguments: list[str] | None = None) -> None:
    parser = argparse.ArgumentParser(prog="python -m bench.peers", description="One decoder in several engines.")
    parser.add_argument("--dtype", nargs="+", default=["float32", "bfloat16"])
    parser.add_argument("--threads", type=int, default=usable_cores())
    parser.add_argument("--rows", type=int, nargs="+", default=[1, 8])
    parser.add_argument("--length", type=int, default=280, help="tokens of a prompt")
    parser.add_argument("--steps", type=int, default=12, help="of each round")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--checkpoint", type=Path, help="an InternVL3; default: random weights of the published size")
    parser.add_argument("--results", type=Path, default=RESULTS, help="the folder of peers.json and peers.md")
    options = parser.parse_args(arguments)
    torch.set_num_threads(options.threads)
    for line in engines.absent():
        print(line, flush=True)
    directory = options.checkpoint or checkpoint("intern_vlm", cache_folder())
    found = engines.available(directory, options.threads, options.dtype)
    lines = measure(found, rows=options.rows, length=options.length, steps=options.steps, rounds=options.rounds)
    machine = described(options.threads)
    record = {
        "machine": machine,
        "commit": commit(),
        "length": options.length,
        "absent": engines.absent(),
        "lines": lines,
    }
    options.results.mkdir(parents=True, exist_ok=True)
    (options.results / "peers.json").write_text(json.dumps(record, indent=1) + "\n")
    text = f"{machine}\n\n{tables.table(lines)}\n\nNot measured: {'; '.join(engines.absent())}.\n"
    (options.results / "peers.md").write_text(text)
    print(f"\n{text}\nwrote {options.results / 'peers.json'} and peers.md")


if __name__ == "__main__":
    main()
