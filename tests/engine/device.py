"""A device with a limit, and the toy model with its keys and values there: real tensors in the core's storage.

What a row has written is read back before it goes on: rows that were mixed up, moved wrongly or overwritten misspell.
"""

from __future__ import annotations

import contextlib
import random
import weakref
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from looksee.core.tasks import Job
from looksee.models.core.batch_cache import BatchCache
from looksee.models.core.storage import CacheShape, KVStorage
from tests.engine.toy import OutOfMemoryError, ToyModel, ToyRow

SHAPE = CacheShape(layers=3, heads=1, head_width=2, cross_length=2)
_BEGIN = 1  # what each row has at position 0


class LimitedDevice:
    """Counts the bytes of tensors while they live; raises as torch does for those beyond `limit`."""

    def __init__(self, limit: int) -> None:
        self.limit, self.used, self.peak = limit, 0, 0

    def keep(self, shape: Sequence[int], dtype: torch.dtype) -> Tensor:
        """Zeros, counted until nothing refers to them."""
        nbytes = dtype.itemsize * torch.Size(shape).numel()
        self._add(nbytes)
        tensor = torch.zeros(*shape, dtype=dtype)
        weakref.finalize(tensor, self._remove, nbytes)
        return tensor

    @contextlib.contextmanager
    def workspace(self, nbytes: int) -> Iterator[None]:
        """Bytes that a verb needs while it runs."""
        self._add(nbytes)
        try:
            yield
        finally:
            self._remove(nbytes)

    def _add(self, nbytes: int) -> None:
        if self.used + nbytes > self.limit:
            raise OutOfMemoryError("out of memory")
        self.used += nbytes
        self.peak = max(self.peak, self.used)

    def _remove(self, nbytes: int) -> None:
        self.used -= nbytes


class LimitedStorage(KVStorage):
    """The core's storage on such a device."""

    def __init__(self, limited: LimitedDevice, **how: Any) -> None:
        self.limited = limited
        super().__init__(SHAPE, device=torch.device("cpu"), dtype=torch.float32, growth=4, **how)

    def _zeros(self, rows: int, length: int) -> Tensor:
        return self.limited.keep((rows, 2 * self.shape.heads, length, self.shape.head_width), self.dtype)


@dataclass
class DeviceBatch:
    rows: list[ToyRow]
    cache: BatchCache


class DeviceModel(ToyModel):
    """Its rows cost nothing but memory.

    `workspaces` has the bytes a row that each verb needs while it runs, `shortages` counts the verbs for which memory
    ran out, `attempts` the prefills that were tried.

    `failing` is how often a verb of several rows raises something else.
    """

    def __init__(self, device: LimitedDevice, *, seed: int = 0, failing: float = 0.0, static: bool = False) -> None:
        super().__init__()
        self.limited, self.storage = device, LimitedStorage(device, static=static)
        self.workspaces: Counter[str] = Counter()
        self.shortages: Counter[str] = Counter()
        self.attempts = 0
        self._random, self._failing = random.Random(seed), failing

    def prepare(self, job: Job) -> ToyRow:
        row = super().prepare(job)
        row.cost = 0
        return row

    def held_bytes(self, rows: int, slots: int) -> int:
        return self.storage.held_bytes(rows, slots)

    def set_memory_budget(self, nbytes: int) -> None:
        self.storage.budget = nbytes

    def release_memory(self) -> None:
        super().release_memory()
        self.storage.release()

    def prefill(self, rows: Sequence[ToyRow]) -> DeviceBatch:  # type: ignore[override]
        self.attempts += 1
        with self._verb("prefill", rows):
            cache = BatchCache(self.storage, len(rows), max(len(row.tokens) for row in rows) + 1)
            for index, row in enumerate(rows):
                for position, value in enumerate([_BEGIN, *row.tokens][:-1]):
                    self._write(cache, index, position, value)
            for index, row in enumerate(rows):
                for layer in cache.storage.cross:
                    layer[cache.first + cache.order[index]] = len(row.word)
            return DeviceBatch(list(rows), cache)

    def add_rows(self, running: DeviceBatch, newcomers: DeviceBatch) -> DeviceBatch:  # type: ignore[override]
        with self._verb("add_rows", [*running.rows, *newcomers.rows]):
            running.cache.add_rows(newcomers.cache)
            return DeviceBatch(running.rows + newcomers.rows, running.cache)

    def step(self, batch: DeviceBatch) -> None:  # type: ignore[override]
        with self._verb("step", batch.rows):
            batch.cache.grow(max(len(row.tokens) for row in batch.rows) + 1)
            for index, row in enumerate(batch.rows):
                self._write(batch.cache, index, len(row.tokens), (row.tokens or [_BEGIN])[-1])
            self.steps.append(len(batch.rows))

    def sample(self, batch: DeviceBatch) -> None:  # type: ignore[override]
        for index, row in enumerate(batch.rows):
            if index == len(batch.rows) // 2:
                with self._verb("sample", batch.rows):  # some rows have their token by now
                    pass
            row.tokens.append(ord(row.word[len(row.tokens)]) if self._is_intact(batch.cache, index, row) else ord("?"))
            if len(row.tokens) == len(row.word):
                row.finish = "stop"

    def keep_rows(self, batch: DeviceBatch, keep: Sequence[int]) -> DeviceBatch:  # type: ignore[override]
        with self._verb("keep_rows", batch.rows):
            rows = [batch.rows[index] for index in keep]
            batch.cache.keep_rows(keep, max(len(row.tokens) for row in rows) + 1)
            return DeviceBatch(rows, batch.cache)

    def _write(self, cache: BatchCache, index: int, position: int, value: int) -> None:
        for layer in self.storage.layers:
            layer[cache.first + cache.order[index], :, position] = value

    def _is_intact(self, cache: BatchCache, index: int, row: ToyRow) -> bool:
        written, place = [_BEGIN, *row.tokens], cache.first + cache.order[index]
        slots = all(layer[place, 0, : len(written), 0].tolist() == written for layer in self.storage.layers)
        return slots and all(bool((layer[place] == len(row.word)).all()) for layer in self.storage.cross)

    @contextlib.contextmanager
    def _verb(self, name: str, rows: Sequence[ToyRow]) -> Iterator[None]:
        self._note_thread()
        if len(rows) > 1 and self._random.random() < self._failing:
            raise RuntimeError("at random")
        try:
            with self.limited.workspace(self.workspaces[name] * len(rows)):
                yield
        except OutOfMemoryError:
            self.shortages[name] += 1
            raise
