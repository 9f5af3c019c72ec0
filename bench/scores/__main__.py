"""Measure what scores mean, on drawn scenes that no training has seen, half of them spoilt.

    python -m bench.scores && python -m bench.report && python -m tools.documents        # or: make scores

The sample weights of all models run in this process, one after the other. The result is in bench/results/scores.json.
"""

from __future__ import annotations

import argparse
import json
from collections import defaultdict

import torch
from tqdm import tqdm

from bench.machine import RESULTS, commit
from bench.scores.asking import judged
from bench.scores.tables import by_model, by_part
from looksee.models.loading import load
from looksee.models.registry import REGISTRY
from looksee.models.weights.source import SAMPLES

_DIGITS = 4


def main() -> None:
    parser = argparse.ArgumentParser(description="Measure what scores mean.")
    parser.add_argument("models", nargs="*", default=list(REGISTRY), help="default: all")
    parser.add_argument("--scenes", type=int, default=320, help="of each model")
    parser.add_argument("--seed", type=int, default=0, help="other seeds give other scenes")
    parser.add_argument("--threads", type=int, default=1, help="of torch")
    options = parser.parse_args()
    torch.set_num_threads(options.threads)
    measured = commit()  # of what is loaded now
    found: dict[tuple[str, str, bool], list[tuple[float, int]]] = defaultdict(list)
    for name in options.models:
        model = load(name, SAMPLES / name, device="cpu", dtype="float32")
        for one in tqdm(judged(name, model, options.scenes, options.seed), desc=name, unit="score"):
            found[one.skill, name, one.spoilt].append((round(one.score, _DIGITS), int(one.right)))
    lines = [
        {"skill": skill, "model": name, "spoilt": spoilt, "pairs": sorted(pairs)}
        for (skill, name, spoilt), pairs in sorted(found.items())
    ]
    record = {"commit": measured, "scenes": options.scenes, "seed": options.seed, "lines": lines}
    RESULTS.mkdir(exist_ok=True)
    file = RESULTS / "scores.json"
    file.write_text(json.dumps(record) + "\n")
    print(f"\n{by_part(lines)}\n\n{by_model(lines)}\n\nwrote {file}")


if __name__ == "__main__":
    main()
