"""The verbs of the engine's interface that do not depend on the model: its rows decode over the core's storage."""

from __future__ import annotations

import logging
from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Generic, TypeVar

import torch
from torch import Tensor

from looksee.models.core.batch_cache import BatchCache
from looksee.models.core.decoder import Decoder
from looksee.models.core.graphs import CudaGraphs
from looksee.models.core.step_runner import StepRunner
from looksee.models.interface import Row

TEXT_SLOTS = 256  # for the words of a prompt and an answer, where little is known of them

logger = logging.getLogger("looksee.models")


@dataclass(slots=True, kw_only=True)
class DecodedRow(Row):
    """A row of tokens, the latest of which is fed next."""

    @property
    def position(self) -> int:
        """The position of the token that is fed next."""
        raise NotImplementedError


RowT = TypeVar("RowT", bound=DecodedRow)


@dataclass(slots=True)
class DecoderBatch(Generic[RowT]):
    """The running rows; `hidden` (rows, width) are their hidden states after the latest step, in the rows' order."""

    rows: list[RowT]
    cache: BatchCache
    hidden: Tensor


class DecoderModel(ABC, Generic[RowT]):
    """A loaded model. Only one thread at a time may call the methods that take or return a batch."""

    device: torch.device
    step_runner: StepRunner

    @abstractmethod
    def fill(self, rows: Sequence[RowT], cache: BatchCache) -> None:
        """Keep in `cache` what `rows` have, all of their tokens but the last; row i of it is theirs."""

    @abstractmethod
    def embed_latest(self, rows: Sequence[RowT]) -> Tensor:
        """Embeddings (rows, 1, width) of the rows' latest tokens."""

    @property
    @abstractmethod
    def usual_length(self) -> int:
        """The slots that a row about one picture needs at most, as long as its text is not unusually long."""

    def use_decoder(self, decoder: Decoder, dtype: torch.dtype) -> None:
        """Decode with `decoder`; `dtype` is that of keys and values."""
        self.step_runner = StepRunner(decoder, device=self.device, dtype=dtype)

    def capture_steps(self, rows: int) -> None:
        """Replay the steps of batches of up to so many rows as CUDA graphs, captured now. For a model without rows.

        Without effect, but for a line in the log, where there are no such graphs.
        """
        if self.device.type != "cuda":
            logger.warning("there are no CUDA graphs on the device '%s': steps are run without", self.device)
            return
        eager = self.step_runner
        self.step_runner = StepRunner(
            eager.decoder, device=self.device, dtype=eager.storage.dtype, graphs=CudaGraphs(self.device)
        )
        self.step_runner.prepare(rows, self.usual_length)

    @torch.inference_mode()
    def prefill(self, rows: Sequence[RowT]) -> DecoderBatch[RowT]:
        cache = BatchCache(self.step_runner.storage, len(rows), max(row.position for row in rows) + 1)
        self.fill(rows, cache)
        return DecoderBatch(list(rows), cache, self._no_hidden())

    @torch.inference_mode()
    def add_rows(self, running: DecoderBatch[RowT], newcomers: DecoderBatch[RowT]) -> DecoderBatch[RowT]:
        running.cache.add_rows(newcomers.cache)
        return DecoderBatch(running.rows + newcomers.rows, running.cache, self._no_hidden())

    @torch.inference_mode()
    def step(self, batch: DecoderBatch[RowT]) -> None:
        cache = batch.cache
        rows = cache.in_storage_order(batch.rows)
        hidden = self.step_runner.step(cache, self.embed_latest(rows), [row.position for row in rows])
        batch.hidden = hidden[cache.order] if cache.moved else hidden

    @torch.inference_mode()
    def keep_rows(self, batch: DecoderBatch[RowT], keep: Sequence[int]) -> DecoderBatch[RowT]:
        rows = [batch.rows[index] for index in keep]
        batch.cache.keep_rows(keep, max(row.position for row in rows) + 1)
        return DecoderBatch(rows, batch.cache, self._no_hidden())

    def held_bytes(self, rows: int, slots: int) -> int:
        return self.step_runner.storage.held_bytes(rows, slots)

    def set_memory_budget(self, nbytes: int) -> None:
        self.step_runner.storage.budget = nbytes

    def release_memory(self) -> None:
        self.step_runner.release()
        if self.device.type == "cuda":
            torch.cuda.empty_cache()

    def _no_hidden(self) -> Tensor:
        """The hidden states of a batch that was not stepped since its rows changed."""
        return torch.empty(0, device=self.device)
