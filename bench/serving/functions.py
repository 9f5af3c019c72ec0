"""The model function that other servers serve: captions of a list of picture files."""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from typing import Any

import torch

from bench.library import Library
from looksee.core.images import decode
from looksee.core.tasks import Job, Task
from looksee.models.loading import load
from looksee.models.registry import prompts
from looksee.models.weights.source import SAMPLES
from looksee.settings import settings

Captions = Callable[[Sequence[bytes]], list[str]]

# What a server's processes are told by their environment.
MODEL, THREADS, ROWS = "BENCH_MODEL", "BENCH_THREADS", "BENCH_ROWS"
CAPTION_TOKENS = 50
OWN = "moondream"  # which no library has


def from_environment() -> Captions:
    """The function of the model that the environment names, on as many torch threads as it says."""
    torch.set_num_threads(int(os.environ[THREADS]))
    return captions(os.environ[MODEL])


def captions(name: str) -> Captions:
    """The library's batched `generate`, or, for want of a library, this project's own model in whole batches."""
    if name == OWN:
        model = own(name)
        return lambda files: whole_batch(model, caption_jobs(name, files))
    library = Library(name, SAMPLES / name)
    return lambda files: library.captions([decode(data) for data in files])


def own(name: str) -> Any:
    """This project's model with the sample weights and the settings that the service has."""
    config = settings()
    mine = config.model(name)
    return load(
        name,
        SAMPLES / name,
        device=mine.device or config.device,
        dtype=mine.dtype or config.dtype,
        **mine.options(sample=True),
    )


def caption_jobs(name: str, files: Sequence[bytes]) -> list[Job]:
    """A caption of each file, with the model's default prompt."""
    words = prompts.caption(name)
    return [Job(Task.CAPTION, (data,), words, CAPTION_TOKENS) for data in files]


def whole_batch(model: Any, jobs: Sequence[Job]) -> list[str]:
    """Answers of a batch that nobody joins: prepared, prefilled together, and stepped until the last row ends."""
    return decoded(model, [model.prepare(job) for job in jobs])


def decoded(model: Any, rows: Sequence[Any], most: int = 8) -> list[str]:
    """The answers of prepared rows, in one batch; `most` are prefilled at a time."""
    running, batch = list[Any](), None
    for first in range(0, len(rows), most):
        newcomers = rows[first : first + most]
        fresh = model.prefill(newcomers)
        batch = fresh if batch is None else model.add_rows(batch, fresh)
        running += newcomers
    while running:
        model.step(batch)
        model.sample(batch)
        keep = [index for index, row in enumerate(running) if row.finish is None]
        if keep and len(keep) < len(running):
            batch = model.keep_rows(batch, keep)
        running = [running[index] for index in keep]
    return [model.answer(row).text for row in rows]
