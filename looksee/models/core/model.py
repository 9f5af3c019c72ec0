"""The verbs of the engine's interface that do not depend on the model: its rows decode over the core's storage."""

from __future__ import annotations

import logging
from abc import ABC, abstractmethod
from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, Generic, TypeVar

import torch
from torch import Tensor

from looksee.models.core.batch_cache import BatchCache
from looksee.models.core.decoder import Decoder
from looksee.models.core.graphs import CudaGraphs
from looksee.models.core.pending import PendingTokens
from looksee.models.core.step_runner import StepRunner
from looksee.models.interface import Row, not_finite

TEXT_SLOTS = 256  # for the words of a prompt and an answer, where little is known of them

logger = logging.getLogger("looksee.models")


@dataclass(slots=True, kw_only=True)
class DecodedRow(Row):
    """A row of tokens, the latest of which is fed next."""

    @property
    def latest(self) -> Any:
        """What is fed next: a token id, unless the model has other items too."""
        raise NotImplementedError

    @property
    def position(self) -> int:
        """The position of what is fed next."""
        raise NotImplementedError

    @property
    def remaining(self) -> int:
        """How many tokens the row may still get."""
        return self.max_new_tokens - len(self.tokens)


RowT = TypeVar("RowT", bound=DecodedRow)


@dataclass(slots=True)
class DecoderBatch(Generic[RowT]):
    """The running rows, in their order.

    `hidden` (rows, width) are the hidden states after the step just made; empty where there was none since the rows
    changed. `pending` are the tokens that were chosen and are not among their rows' `tokens` yet, oldest first.
    When a failure drops the batch, its pending tokens go with it, and its rows in the storage are free.
    """

    rows: list[RowT]
    cache: BatchCache
    hidden: Tensor = field(default_factory=lambda: torch.empty(0))
    pending: deque[PendingTokens[RowT]] = field(default_factory=deque)

    def pending_counts(self) -> list[int]:
        """How many pending tokens each row has."""
        waiting = [{id(row) for row in tokens.rows} for tokens in self.pending]
        return [sum(id(row) in rows for rows in waiting) for row in self.rows]


class DecoderModel(ABC, Generic[RowT]):
    """A loaded model. Only one thread at a time may call the methods that take or return a batch.

    A step does not wait until the host has read the tokens of the one before: with `steps_ahead` 1 it is launched with
    these as they are on the device, and `sample` then reads them. So a row gets each token one call of `sample` later,
    and one that ends by a token or a stop string is stepped once in vain, into a slot of its own that nothing reads.
    With 0, where host and device are the same, `sample` reads what it chose.
    """

    device: torch.device
    step_runner: StepRunner
    steps_ahead: int = 0

    @abstractmethod
    def fill(self, rows: Sequence[RowT], cache: BatchCache) -> None:
        """Keep in `cache` what `rows` have, all of their tokens but the last; row i of it is theirs."""

    @abstractmethod
    def embed_latest(self, rows: Sequence[RowT]) -> Tensor:
        """Embeddings (rows, 1, width) of what the rows, none of which has pending tokens, are fed next."""

    @abstractmethod
    def choose(self, hidden: Tensor, rows: Sequence[RowT], pending: Sequence[int]) -> Tensor:
        """The next token ids of the rows, as `sampling.choose` gives them. `hidden` is (rows, width)."""

    @abstractmethod
    def accept(self, row: RowT, token: int) -> None:
        """Append a token to the row's; set its `finish` if that ends it."""

    def predictable(self, rows: Sequence[RowT]) -> bool:
        """Whether the rows' next step and its tokens need nothing that the host has not read yet."""
        return not any(row.sampling.penalizes or row.matcher is not None for row in rows)

    @property
    @abstractmethod
    def usual_length(self) -> int:
        """The slots that a row about one picture needs at most, as long as its text is not unusually long."""

    def use_decoder(self, decoder: Decoder, dtype: torch.dtype) -> None:
        """Decode with `decoder`; `dtype` is that of keys and values."""
        self.step_runner = StepRunner(decoder, device=self.device, dtype=dtype)
        self.steps_ahead = int(self.device.type == "cuda")

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
        return DecoderBatch(list(rows), cache)

    @torch.inference_mode()
    def add_rows(self, running: DecoderBatch[RowT], newcomers: DecoderBatch[RowT]) -> DecoderBatch[RowT]:
        running.cache.add_rows(newcomers.cache)
        # Newcomers that were stepped, to repair a failure, have pending tokens of another step: they are chosen again.
        return DecoderBatch(running.rows + newcomers.rows, running.cache, pending=running.pending)

    @torch.inference_mode()
    def step(self, batch: DecoderBatch[RowT]) -> None:
        if batch.pending and not self.predictable(batch.rows):
            self._read(batch)
        counts, cache = batch.pending_counts(), batch.cache
        if batch.pending and all(count >= row.remaining for row, count in zip(batch.rows, counts, strict=True)):
            batch.hidden = torch.empty(0)  # every row's last token is pending
            return
        rows = cache.in_storage_order(batch.rows)
        positions = [row.position + count for row, count in zip(batch.rows, counts, strict=True)]
        embeddings = self._embed_pending(rows, batch.pending[-1]) if batch.pending else self.embed_latest(rows)
        hidden = self.step_runner.step(cache, embeddings, cache.in_storage_order(positions))
        batch.hidden = hidden[cache.order] if cache.moved else hidden

    @torch.inference_mode()
    def sample(self, batch: DecoderBatch[RowT]) -> None:
        if not len(batch.hidden):
            self._read(batch)
            return
        ids = self.choose(batch.hidden, batch.rows, batch.pending_counts())
        batch.pending.append(PendingTokens(batch.rows, ids))
        self._read(batch, leave=self.steps_ahead if self.predictable(batch.rows) else 0)

    @torch.inference_mode()
    def keep_rows(self, batch: DecoderBatch[RowT], keep: Sequence[int]) -> DecoderBatch[RowT]:
        kept = DecoderBatch([batch.rows[index] for index in keep], batch.cache, pending=batch.pending)
        lengths = [row.position + count + 1 for row, count in zip(kept.rows, kept.pending_counts(), strict=True)]
        kept.cache.keep_rows(keep, max(lengths))
        return kept

    def held_bytes(self, rows: int, slots: int) -> int:
        return self.step_runner.storage.held_bytes(rows, slots)

    def set_memory_budget(self, nbytes: int) -> None:
        self.step_runner.storage.budget = nbytes

    def release_memory(self) -> None:
        self.step_runner.release()
        if self.device.type == "cuda":
            torch.cuda.empty_cache()

    def _embed_pending(self, rows: Sequence[RowT], pending: PendingTokens[RowT]) -> Tensor:
        """Embeddings (rows, 1, width) of the rows' latest tokens, which are `pending` or known."""
        indices = {id(row): index for index, row in enumerate(pending.rows)}
        places = [indices.get(id(row), -1) for row in rows]
        known = [row.latest if place < 0 else 0 for row, place in zip(rows, places, strict=True)]
        place, ids = torch.tensor([places, known]).to(self.device)
        ids = pending.ids[place].clamp(min=0).where(place >= 0, ids)  # -1 is an index too, of a number that is not used
        return self.step_runner.decoder.embed(ids[:, None])

    def _read(self, batch: DecoderBatch[RowT], *, leave: int = 0) -> None:
        """Give the rows their pending tokens, all but those of the latest `leave` steps."""
        while len(batch.pending) > leave:
            tokens = batch.pending.popleft()
            for row, token in zip(tokens.rows, tokens.read(), strict=True):
                if row.finish is not None or row.error is not None:
                    continue  # it was stepped once more, before its end was known
                if token is None:
                    row.error = not_finite()
                else:
                    self.accept(row, token)
