"""BLIP, InternVL3-1B and Moondream2 at their published sizes, with random weights, through the service's engine.

    python -m bench --published --dtype float32 bfloat16

The weights are written once into a folder outside the project (`--directory`, by default in the user's cache): 0.5,
1.9 and 3.9 GB. Each model and dtype runs in a process of its own. What was measured is kept; `--again` begins anew.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import torch

from bench.machine import RESULTS, ROOT, commit, described
from bench.published import tables
from bench.stand_ins import library_models, moondream
from looksee.models.moondream.config import Config
from looksee.settings.cpu import usable_cores

NAMES = ("blip", "intern_vlm", "moondream")
FILE = RESULTS / "published.json"


def cache_folder() -> Path:
    """Where random weights are kept: outside the project."""
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "looksee-bench"


def checkpoint(name: str, directory: Path) -> Path:
    """The folder of a model's random weights, which are written if they are not there yet."""
    folder = directory / name
    done = folder / "complete"
    if not done.exists():
        print(f"{name}: writing random weights to {folder}", flush=True)
        folder.mkdir(parents=True, exist_ok=True)
        if name == "moondream":
            moondream.write(folder, Config())
        else:
            library_models.write(name, folder, dtype=torch.bfloat16)
        done.touch()
    return folder


def run(name: str, dtype: str, options: argparse.Namespace) -> dict[str, Any]:
    """One model in one dtype. Raises CalledProcessError."""
    command = [sys.executable, "-m", "bench.published.worker", name, "--dtype", dtype]
    command += ["--directory", str(checkpoint(name, options.directory)), "--device", options.device]
    command += ["--threads", str(options.threads), "--callers", *map(str, options.callers)]
    command += ["--each", str(options.each), "--tokens", str(options.tokens)]
    done = subprocess.run(command, cwd=ROOT, stdout=subprocess.PIPE, text=True, check=True)
    figures: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return {"model": name, "dtype": dtype, **figures}


def main(arguments: list[str] | None = None) -> None:
    parser = argparse.ArgumentParser(prog="python -m bench --published", description="The published sizes.")
    parser.add_argument("models", nargs="*", default=[], help=f"default: {', '.join(NAMES)}")
    parser.add_argument("--dtype", nargs="+", default=["float32", "bfloat16"])
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--threads", type=int, default=usable_cores())
    parser.add_argument("--callers", type=int, nargs="+", default=[1, 8])
    parser.add_argument("--each", type=int, default=1, help="captions of each caller")
    parser.add_argument("--tokens", type=int, default=20, help="of a caption")
    parser.add_argument("--directory", type=Path, default=cache_folder(), help="where the weights are")
    parser.add_argument("--again", action="store_true", help="measure anew what was measured already")
    options = parser.parse_args(arguments)
    conditions = {
        "machine": described(options.threads),
        "commit": commit(),
        "device": options.device,
        "callers": options.callers,
        "each": options.each,
        "tokens": options.tokens,
    }
    kept = {} if options.again else _kept(conditions)
    for name in options.models or NAMES:
        for dtype in options.dtype:
            if (name, dtype) in kept:
                print(f"{name} in {dtype} was measured already ({FILE})", flush=True)
                continue
            print(f"{name} in {dtype}", flush=True)
            kept[name, dtype] = run(name, dtype, options)
            FILE.parent.mkdir(parents=True, exist_ok=True)
            FILE.write_text(json.dumps({**conditions, "lines": list(kept.values())}, indent=1) + "\n")
    text = f"{conditions['machine']}; {options.tokens} tokens a caption\n\n{tables.table(list(kept.values()))}\n"
    FILE.with_suffix(".md").write_text(text)
    print(f"\n{text}\nwrote {FILE} and {FILE.with_suffix('.md').name}")


def _kept(conditions: dict[str, Any]) -> dict[tuple[str, str], dict[str, Any]]:
    if not FILE.exists():
        return {}
    record = json.loads(FILE.read_text())
    lines = record.pop("lines")
    return {(line["model"], line["dtype"]): line for line in lines} if record == conditions else {}


if __name__ == "__main__":
    main()
