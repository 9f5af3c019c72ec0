"""Everything but the prefill of a model whose weights are transformers': adding, stepping, keeping and sampling rows.

A model adds how the prompts of new rows are embedded.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, Generic, TypeVar

import torch
from torch import Tensor, nn

from looksee.core import errors
from looksee.core.tasks import Answer
from looksee.models import sampling
from looksee.models.core.batch_cache import BatchCache
from looksee.models.core.decoder import Decoder
from looksee.models.core.step_runner import StepRunner
from looksee.models.detokenize import stable_prefix, truncate_at_stop
from looksee.models.interface import Row

_MIN_ANSWER_TOKENS = 16  # a prompt that leaves fewer positions is refused, unless fewer were asked for


@dataclass(slots=True, kw_only=True)
class PromptRow(Row):
    """A row with its prompt's token ids."""

    prompt_ids: list[int]

    @property
    def history(self) -> list[int]:
        """All ids of the row; the last one is fed next."""
        return self.prompt_ids + self.tokens

    @property
    def latest(self) -> int:
        """The id that is fed next."""
        return (self.tokens or self.prompt_ids)[-1]

    @property
    def position(self) -> int:
        """The position of the token that is fed next."""
        return len(self.prompt_ids) + len(self.tokens) - 1


RowT = TypeVar("RowT", bound=PromptRow)


@dataclass(slots=True)
class DecoderBatch(Generic[RowT]):
    """The running rows; `logits` (rows, vocabulary) float32 are those of the latest step, in the rows' order."""

    rows: list[RowT]
    cache: BatchCache
    logits: Tensor = field(default_factory=lambda: torch.empty(0))


class TransformersModel(ABC, Generic[RowT]):
    """A loaded model. Only one thread at a time may call the methods that take or return a batch.

    `eos_ids` are the token ids that end an answer; `max_positions` bounds prompt and answer together.
    """

    device: torch.device
    dtype: torch.dtype
    tokenizer: Any
    net: Any
    decoder: Decoder
    eos_ids: frozenset[int]
    max_positions: int

    def use_decoder(self, decoder: Decoder) -> None:
        """Decode with `decoder`, over storage of its own."""
        self.decoder = decoder.eval()
        self.step_runner = StepRunner(decoder, device=self.device, dtype=self.dtype)

    @abstractmethod
    def fill(self, rows: Sequence[RowT], cache: BatchCache) -> None:
        """Keep in `cache` what `rows` have, all of their tokens but the last; row i of it is theirs."""

    @torch.inference_mode()
    def prefill(self, rows: Sequence[RowT]) -> DecoderBatch[RowT]:
        cache = BatchCache(self.step_runner.storage, len(rows), max(row.position for row in rows) + 1)
        self.fill(rows, cache)
        return DecoderBatch(list(rows), cache)

    @torch.inference_mode()
    def add_rows(self, running: DecoderBatch[RowT], newcomers: DecoderBatch[RowT]) -> DecoderBatch[RowT]:
        running.cache.add_rows(newcomers.cache)
        return DecoderBatch(running.rows + newcomers.rows, running.cache)

    @torch.inference_mode()
    def step(self, batch: DecoderBatch[RowT]) -> None:
        cache = batch.cache
        ids = cache.in_storage_order([row.latest for row in batch.rows])
        positions = cache.in_storage_order([row.position for row in batch.rows])
        embeddings = self.decoder.embed(torch.tensor(ids, device=self.device)[:, None])
        logits = self.decoder.logits(self.step_runner.step(cache, embeddings, positions))
        batch.logits = logits[cache.order] if cache.moved else logits

    @torch.inference_mode()
    def keep_rows(self, batch: DecoderBatch[RowT], keep: Sequence[int]) -> DecoderBatch[RowT]:
        rows = [batch.rows[index] for index in keep]
        batch.cache.keep_rows(keep, max(row.position for row in rows) + 1)
        return DecoderBatch(rows, batch.cache)

    @torch.inference_mode()
    def sample(self, batch: DecoderBatch[RowT]) -> None:
        for row, token in zip(batch.rows, sampling.choose(batch.logits, batch.rows), strict=True):
            row.tokens.append(token)
            if token in self.eos_ids or (row.stop and truncate_at_stop(self.raw_text(row), row.stop)[1]):
                row.finish = "stop"
            elif len(row.tokens) >= row.max_new_tokens:
                row.finish = "length"

    def release_memory(self) -> None:
        self.step_runner.release()
        if self.device.type == "cuda":
            torch.cuda.empty_cache()

    def reuse(self) -> tuple[int, int]:
        return 0, 0  # without a cache of encoded images

    def networks(self) -> tuple[nn.Module, nn.Module]:
        """The decoder, and the library's network, which has the rest."""
        return self.decoder, self.net

    def raw_text(self, row: RowT) -> str:
        """The text of all the row's new tokens, stop strings included."""
        text: str = self.tokenizer.decode(row.tokens, skip_special_tokens=True)
        return text

    def text(self, row: RowT) -> str:
        return truncate_at_stop(self.raw_text(row), row.stop)[0].lstrip()

    def partial(self, row: RowT) -> str:
        return stable_prefix(self.text(row), row.stop)

    def answer(self, row: RowT) -> Answer:
        return Answer(
            text=self.text(row).strip(),
            finish=row.finish or "length",
            prompt_tokens=row.prompt_tokens,
            new_tokens=len(row.tokens),
        )

    def fit_new_tokens(self, prompt_tokens: int, wanted: int) -> int:
        """`wanted`, or as many new tokens as fit behind the prompt.

        Raises PromptTooLong when that is fewer than `wanted` and fewer than 16.
        """
        free = self.max_positions - prompt_tokens
        if free < min(wanted, _MIN_ANSWER_TOKENS):
            raise errors.PromptTooLong(
                f"The prompt has {prompt_tokens} tokens with its pictures; prompt and answer must fit "
                f"{self.max_positions}.",
                param="prompt",
            )
        return min(wanted, free)


def padded(rows: Sequence[Sequence[int]]) -> Tensor:
    """Token ids (rows, longest) int64, padded with 0 behind each row's end."""
    longest = max(len(row) for row in rows)
    return torch.tensor([[*row, *[0] * (longest - len(row))] for row in rows], dtype=torch.int64)


def eos_token_ids(net: Any) -> frozenset[int]:
    """The token ids that end an answer, by a checkpoint's generation config and its decoder's config."""
    found: set[int] = set()
    for tokens in (net.generation_config.eos_token_id, net.config.get_text_config().eos_token_id):
        found |= {tokens} if isinstance(tokens, int) else set(tokens or ())
    return frozenset(found)
