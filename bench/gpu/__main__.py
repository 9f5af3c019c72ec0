"""All five models on one device, at their published sizes, with random weights.

    python -m bench.gpu                                  # results in bench/results/gpu.json and gpu.md
    python -m bench.gpu --models blip --layers 2 --device cpu --rows 1 2 --steps 4

For 1, 8 and 32 rows: the vision tower, the pass over a prompt, and greedy decode steps: eager, over buffers at fixed
addresses, those captured as CUDA graphs, and these launched before the tokens of the last one are read. Beside each is
its part of what the device can do, measured in the same run: products a second for passes, bytes a second for steps,
whose weights are read once. Ends with status 1 if a graph's tokens are not those of the same steps without it, or those
of steps ahead not those of steps in turn. Eager steps have other shapes, so other roundings: in bfloat16 their tokens
part from the others' where two are almost as likely.
"""

from __future__ import annotations

import argparse
import gc
import json
import sys
from pathlib import Path

import torch

from bench.gpu import limits, measuring, subjects, tables

RESULTS = Path(__file__).parents[1] / "results"


def main(arguments: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description="Each model at its published size, beside what the device can do.")
    parser.add_argument("--models", nargs="+", choices=subjects.NAMES, default=list(subjects.NAMES))
    parser.add_argument("--device", default="cuda:0" if torch.cuda.is_available() else "cpu")
    parser.add_argument("--dtype", default="bfloat16")
    parser.add_argument("--rows", type=int, nargs="+", default=[1, 8, 32])
    parser.add_argument("--steps", type=int, default=64)
    parser.add_argument("--rounds", type=int, default=5, help="of each pass over pictures and prompts")
    parser.add_argument("--layers", type=int, help="fewer than published, to try it without a GPU")
    parser.add_argument("--results", type=Path, default=RESULTS, help="the folder of gpu.json and gpu.md")
    options = parser.parse_args(arguments)
    device, dtype = torch.device(options.device), getattr(torch, options.dtype)
    able = limits.measure(device, dtype)
    about = machine(device, options.dtype, able, options.layers)
    print(f"{about}\n", flush=True)
    found = []
    for name in options.models:
        _told(f"{name}: weights")
        subject = subjects.build(name, device=device, dtype=dtype, layers=options.layers)
        if device.type == "cuda":
            torch.cuda.reset_peak_memory_stats(device)
        one = measuring.measure(
            subject, able, device, rows=options.rows, steps=options.steps, rounds=options.rounds, told=_told
        )
        found.append(one)
        del subject
        gc.collect()
        if device.type == "cuda":
            torch.cuda.empty_cache()
        _write(options.results, about, found)  # after each model: what was measured stays when the next one fails
    print(f"\n{tables.tables(measuring.record(found))}\n\nwrote {options.results / 'gpu.json'} and gpu.md")
    if any(one.unequal for one in found):
        print("tokens of captured steps, or of steps ahead, are not those of the same steps in turn", file=sys.stderr)
        return 1
    return 0


def machine(device: torch.device, dtype: str, able: limits.DeviceLimits, layers: int | None) -> str:
    """What was measured on, in a line."""
    name = torch.cuda.get_device_name(device) if device.type == "cuda" else f"a CPU, {torch.get_num_threads()} threads"
    fewer = f", {layers} layers only" if layers else ""
    return (
        f"{name}, {dtype}, torch {torch.__version__}{fewer}: copies {able.bandwidth / 1e9:.0f} GB/s, "
        f"multiplies {able.products / 1e12:.1f} TFLOP/s"
    )


def _told(words: str) -> None:
    print(words, flush=True)


def _write(folder: Path, about: str, found: list[measuring.ModelFigures]) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    record = {"machine": about, "models": measuring.record(found)}
    (folder / "gpu.json").write_text(json.dumps(record, indent=1) + "\n")
    (folder / "gpu.md").write_text(f"{about}\n\n{tables.tables(measuring.record(found))}\n")


if __name__ == "__main__":
    raise SystemExit(main())
