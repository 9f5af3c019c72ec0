"""Rows of all five models with random weights, each with what is said about it alone; and mixes of them.

Alone is the library's `generate`, and for Moondream2, which no library has, one row without cache and batch.
"""

from __future__ import annotations

import contextlib
import functools
import random
import tempfile
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor

from looksee.core import errors
from looksee.models.core.batch_cache import BatchCache
from looksee.models.core.decoder import Decoder
from looksee.models.core.graphs import NoGraphs
from looksee.models.core.passes import Prefill, Window
from looksee.models.core.step_runner import StepRunner
from looksee.models.loading import load
from tests.models.checkpoints import write_random
from tests.models.library import MODELS, LibraryAlone
from tests.models.mixing import decode_mixed
from tests.models.moondream import alone as moondream_alone
from tests.models.moondream import vectors
from tests.models.moondream.test_mixing import BIAS, row_of, said, some_request
from tests.models.transformers.test_identity import some_job

NAMES = (*MODELS, "moondream")
SEEDS = (3, 4, 5)  # of mixes
_COUNT = 12


@dataclass
class Mixed:
    """A model, and rows: `fresh[i]()` is row i as it was prepared, `tokens[i]` what it says alone, in `lengths[i]`
    positions with its prompt.
    """

    model: Any
    fresh: list[Callable[[], Any]] = field(default_factory=list)
    tokens: list[list[Any]] = field(default_factory=list)
    lengths: list[int] = field(default_factory=list)

    @property
    def decoder(self) -> Decoder:
        own: Decoder = self.model.net.text if hasattr(self.model.net, "text") else self.model.decoder
        return own

    def add(self, fresh: Callable[[], Any], tokens: list[Any]) -> None:
        self.fresh.append(fresh)
        self.tokens.append(tokens)
        self.lengths.append(fresh().position + len(tokens))

    def chosen(self, wanted: Callable[[list[Any]], bool]) -> Mixed:
        """The rows that are `wanted`, each alone."""
        numbers = [number for number, fresh in enumerate(self.fresh) if wanted([fresh()])]
        made = Mixed(self.model)
        for number in numbers:
            made.add(self.fresh[number], self.tokens[number])
        return made

    def wrong(self, *seeds: int, most: int = 8) -> int:
        """How many rows say something else in a mix than they say alone, in one mix for each seed.

        In every other one the short rows come first, so that storage grows, and what was made for less is used again.
        """
        count = 0
        for turn, seed in enumerate(seeds or SEEDS[:1]):
            rng = random.Random(seed)
            numbers = list(range(len(self.fresh)))
            rng.shuffle(numbers)
            if turn % 2 == 0:
                numbers.sort(key=self.lengths.__getitem__)
            rows = [self.fresh[number]() for number in numbers]
            decode_mixed(self.model, rows, rng, most=most)
            count += sum(told(row) != self.tokens[number] for number, row in zip(numbers, rows, strict=True))
        return count

    def use(self, patch: pytest.MonkeyPatch, graphs: NoGraphs | None, growth: int | None = None) -> StepRunner:
        """Let the model step over new storage, whose lengths are two at most unless `growth` says otherwise."""
        growth = growth or max(self.lengths) // 2 + 1
        runner = StepRunner(self.decoder, device=torch.device("cpu"), dtype=torch.float32, graphs=graphs, growth=growth)
        patch.setattr(self.model, "step_runner", runner)
        return runner


def told(row: Any) -> list[Any]:
    """What a row said so far."""
    return said(row) if hasattr(row, "items") else list(row.tokens)


def prefill_pass(cache: BatchCache, length: int, mask: Callable[[Window], Tensor] | None) -> Prefill:
    """A pass of prompts that are all so long."""
    return Prefill(cache.span(), length, mask)


@functools.cache
def mixed(name: str) -> Mixed:
    """The rows of a model; not to be changed."""
    return _moondream() if name == "moondream" else _of_the_library(name)


def _of_the_library(name: str) -> Mixed:
    directory = write_random(name, Path(tempfile.mkdtemp(dir=_scratch())))
    options: dict[str, Any] = {"max_tiles": 4} if name == "intern_vlm" else {}
    made = Mixed(load(name, directory, device="cpu", dtype="float32", **options))
    alone, rng = LibraryAlone(name, directory, made.model), random.Random(29)
    while len(made.fresh) < _COUNT:
        job = some_job(name, rng)
        with contextlib.suppress(errors.PromptTooLong):  # BLIP has few positions
            made.add(functools.partial(made.model.prepare, job), alone.tokens(job, made.model.prepare(job)))
    return made


def _moondream() -> Mixed:
    made, rng = Mixed(vectors.model("mini70", bias=BIAS)), random.Random(29)
    for _ in range(_COUNT):
        request = some_request(rng)
        fresh = functools.partial(row_of, made.model, request)
        made.add(fresh, moondream_alone.decoded(made.model, fresh()))
    return made


@functools.cache
def _scratch() -> str:
    _kept.append(tempfile.TemporaryDirectory())
    return _kept[0].name


_kept: list[tempfile.TemporaryDirectory[str]] = []
