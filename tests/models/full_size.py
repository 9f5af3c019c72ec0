"""Write a BLIP of the published size with random weights, load it, caption one picture; print what that took.

python -m tests.models.full_size DIRECTORY
"""

from __future__ import annotations

import json
import math
import random
import resource
import sys
import time
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import save_file
from transformers import BertTokenizer

from looksee.core.tasks import Job, Task
from looksee.models.loading import load
from looksee.models.registry import REGISTRY
from tests.models import published
from tests.models.mixing import decode_mixed
from tests.support.pictures import scene

NEW_TOKENS = 10


def write(directory: Path) -> None:
    """bfloat16 weights, a vocabulary of the published size, the published configuration."""
    found = published.manifest("blip")
    for name in ("config", "preprocessor_config"):
        (directory / f"{name}.json").write_text(json.dumps(found[name]))
    special = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"]
    words = special + [f"word{number}" for number in range(30522 - len(special))]
    BertTokenizer(vocab={word: number for number, word in enumerate(words)}).save_pretrained(directory)
    torch.manual_seed(3)
    shapes = published.shapes("blip", published.config("blip"))
    noise = (torch.randn(max(map(math.prod, shapes.values()))) * 0.02).to(torch.bfloat16)
    tensors = {name: noise[: math.prod(shape)].view(shape).clone() for name, shape in shapes.items()}
    save_file(tensors, directory / "model.safetensors", metadata={"format": "pt"})


def main(directory: Path) -> None:
    started = time.monotonic()
    write(directory)
    written = time.monotonic()
    model: Any = load("blip", directory, device="cpu", dtype="float32")
    loaded = time.monotonic()
    model.eos_ids = frozenset()  # every caption runs to its limit, so that times of two runs compare
    row = model.prepare(Job(Task.CAPTION, (scene(1)[0],), max_new_tokens=NEW_TOKENS))
    decode_mixed(model, [row], random.Random(1))
    ended = time.monotonic()
    outcome = model.answer(row)
    print(
        json.dumps(
            {
                "parameters": sum(part.numel() for part in {*model.net.parameters(), *model.decoder.parameters()}),
                "published": REGISTRY["blip"].parameters,
                "image_tokens": row.cost,
                "new_tokens": outcome.new_tokens,
                "write_seconds": round(written - started, 1),
                "load_seconds": round(loaded - written, 1),
                "caption_seconds": round(ended - loaded, 2),
                "peak_gib": round(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20, 2),
            }
        )
    )


if __name__ == "__main__":
    main(Path(sys.argv[1]))
