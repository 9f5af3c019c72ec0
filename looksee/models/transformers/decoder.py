"""Everything but the prefill of a model whose decoder is transformers': adding, stepping, keeping and sampling rows.

The rows of a batch are right-aligned; shorter ones are padded on their left. A model adds how new rows are prefilled
and how one token is fed.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Generic, TypeVar

import torch
from torch import Tensor
from transformers import DynamicCache

from looksee.core import errors
from looksee.core.tasks import Answer
from looksee.models import sampling
from looksee.models.detokenize import stable_prefix, truncate_at_stop
from looksee.models.interface import Row
from looksee.models.transformers import kv

_MIN_ANSWER_TOKENS = 16  # a prompt that leaves fewer positions is refused, unless fewer were asked for


@dataclass(slots=True, kw_only=True)
class PromptRow(Row):
    """A row with its prompt's token ids."""

    prompt_ids: list[int]


RowT = TypeVar("RowT", bound=PromptRow)


@dataclass(slots=True)
class DecoderBatch(Generic[RowT]):
    """The running rows.

    `mask` (rows, length) int64 is 0 where a row is padded. `length` counts the tokens that were fed: all but the
    latest, which the next step feeds. `positions` (rows,) int64 is the index of each row's latest fed token, from 0,
    and -1 for a row without one. `logits` (rows, vocabulary) float32 are those of the latest step. `cross_cache` holds
    the cross-attention's keys and values, equally long in every row and constant; it has no layers in models without
    cross-attention.
    """

    rows: list[RowT]
    cache: DynamicCache
    mask: Tensor
    positions: Tensor
    logits: Tensor
    cross_cache: DynamicCache


class CausalDecoder(ABC, Generic[RowT]):
    """A loaded model. Only one thread at a time may call the methods that take or return a batch.

    `eos_ids` are the token ids that end an answer; `max_positions` bounds prompt and answer together.
    """

    device: torch.device
    tokenizer: Any
    eos_ids: frozenset[int]
    max_positions: int

    @abstractmethod
    def prefill(self, rows: Sequence[RowT]) -> DecoderBatch[RowT]:
        """A batch of `rows` in their order, all of their tokens fed but the last; its logits are not yet meaningful."""

    @abstractmethod
    def forward_step(self, tokens: Tensor, batch: DecoderBatch[RowT]) -> Tensor:
        """Feed `tokens` (rows, 1), which `batch.mask` and `batch.positions` include already.

        Returns logits (rows, vocabulary) float32.
        """

    @torch.inference_mode()
    def add_rows(self, running: DecoderBatch[RowT], newcomers: DecoderBatch[RowT]) -> DecoderBatch[RowT]:
        """A batch of the rows of both, `running` first. Neither batch is changed."""
        length = max(running.mask.shape[1], newcomers.mask.shape[1])
        masks = [kv.pad_left(batch.mask, length - batch.mask.shape[1], dim=1) for batch in (running, newcomers)]
        return DecoderBatch(
            running.rows + newcomers.rows,
            kv.add_rows(running.cache, newcomers.cache),
            torch.cat(masks),
            torch.cat([running.positions, newcomers.positions]),
            torch.cat([running.logits, newcomers.logits]),
            kv.add_rows(running.cross_cache, newcomers.cross_cache),
        )

    @torch.inference_mode()
    def step(self, batch: DecoderBatch[RowT]) -> None:
        """Feed each row its latest token; sets `batch.logits`. After an exception the batch is unusable."""
        tokens = torch.tensor([[(row.tokens or row.prompt_ids)[-1]] for row in batch.rows], device=self.device)
        batch.mask = torch.cat([batch.mask, batch.mask.new_ones(len(batch.rows), 1)], dim=1)
        batch.positions = batch.positions + 1
        batch.logits = self.forward_step(tokens, batch)

    @torch.inference_mode()
    def keep_rows(self, batch: DecoderBatch[RowT], keep: Sequence[int]) -> DecoderBatch[RowT]:
        """A batch of the rows at the indices `keep`, in that order. `batch` is not changed."""
        indices = torch.tensor(keep, device=self.device)
        mask = batch.mask[indices]
        length = int(mask.sum(-1).max())  # the columns before are padding in every row that is kept
        return DecoderBatch(
            [batch.rows[index] for index in keep],
            kv.keep_rows(batch.cache, indices, length),
            mask[:, mask.shape[1] - length :],
            batch.positions[indices],
            batch.logits[indices],
            kv.keep_rows(batch.cross_cache, indices),
        )

    @torch.inference_mode()
    def sample(self, batch: DecoderBatch[RowT]) -> None:
        """Append each row's next token, and set the `finish` of rows that end with it."""
        for row, token in zip(batch.rows, sampling.choose(batch.logits, batch.rows), strict=True):
            row.tokens.append(token)
            if token in self.eos_ids or (row.stop and truncate_at_stop(self.raw_text(row), row.stop)[1]):
                row.finish = "stop"
            elif len(row.tokens) >= row.max_new_tokens:
                row.finish = "length"

    def release_memory(self) -> None:
        if self.device.type == "cuda":
            torch.cuda.empty_cache()

    def reuse(self) -> tuple[int, int]:
        return 0, 0  # without a cache of encoded images

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


def eos_token_ids(net: Any) -> frozenset[int]:
    """The token ids that end an answer, by a checkpoint's generation config and its decoder's config."""
    found: set[int] = set()
    for tokens in (net.generation_config.eos_token_id, net.config.get_text_config().eos_token_id):
        found |= {tokens} if isinstance(tokens, int) else set(tokens or ())
    return frozenset(found)
