"""Join, step, leave and read out, as all models with a transformers decoder do them.

The rows of a batch are right-aligned: what a row lacks is padding on its left. A model adds how new rows are prefilled
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
from looksee.models.detokenize import cut, stable_prefix
from looksee.models.interface import Row
from looksee.models.transformers import kv

_LEAST_ROOM = 16  # tokens an answer must have room for beside its prompt


@dataclass(slots=True, kw_only=True)
class PromptRow(Row):
    """A row whose prompt is these token ids."""

    prompt_ids: list[int]


RowT = TypeVar("RowT", bound=PromptRow)


@dataclass(slots=True)
class DecoderBatch(Generic[RowT]):
    """The running rows. `mask` is (rows, length), `positions` (rows,) the latest position, `logits` (rows, vocabulary).

    `length` counts what was fed so far: all but the latest token, which the next step feeds. `cross` holds keys and
    values that never change and are equally long in every row; for models without cross-attention it has no layers.
    """

    rows: list[RowT]
    cache: DynamicCache
    mask: Tensor
    positions: Tensor
    logits: Tensor
    cross: DynamicCache


class CausalDecoder(ABC, Generic[RowT]):
    """A loaded model. One thread at a time may call the five verbs."""

    device: torch.device
    tokenizer: Any
    ends: frozenset[int]  # tokens that end an answer
    room: int  # positions for prompt and answer

    @abstractmethod
    def prefill(self, rows: Sequence[RowT]) -> DecoderBatch[RowT]: ...

    @abstractmethod
    def feed(self, tokens: Tensor, batch: DecoderBatch[RowT]) -> Tensor:
        """Each row's logits (rows, vocabulary) float32 after one more token (rows, 1), which `batch.mask` includes."""

    @torch.inference_mode()
    def add_rows(self, running: DecoderBatch[RowT], newcomers: DecoderBatch[RowT]) -> DecoderBatch[RowT]:
        length = max(running.mask.shape[1], newcomers.mask.shape[1])
        masks = [kv.pad_left(batch.mask, length - batch.mask.shape[1], dim=1) for batch in (running, newcomers)]
        return DecoderBatch(
            running.rows + newcomers.rows,
            kv.add_rows(running.cache, newcomers.cache),
            torch.cat(masks),
            torch.cat([running.positions, newcomers.positions]),
            torch.cat([running.logits, newcomers.logits]),
            kv.add_rows(running.cross, newcomers.cross),
        )

    @torch.inference_mode()
    def step(self, batch: DecoderBatch[RowT]) -> None:
        tokens = torch.tensor([[(row.tokens or row.prompt_ids)[-1]] for row in batch.rows], device=self.device)
        batch.mask = torch.cat([batch.mask, batch.mask.new_ones(len(batch.rows), 1)], dim=1)
        batch.positions = batch.positions + 1
        batch.logits = self.feed(tokens, batch)

    @torch.inference_mode()
    def keep_rows(self, batch: DecoderBatch[RowT], keep: Sequence[int]) -> DecoderBatch[RowT]:
        rows = torch.tensor(keep, device=self.device)
        mask = batch.mask[rows]
        length = int(mask.sum(-1).max())  # columns before are padding in every row that stays
        return DecoderBatch(
            [batch.rows[index] for index in keep],
            kv.keep_rows(batch.cache, rows, length),
            mask[:, mask.shape[1] - length :],
            batch.positions[rows],
            batch.logits[rows],
            kv.keep_rows(batch.cross, rows),
        )

    @torch.inference_mode()
    def sample(self, batch: DecoderBatch[RowT]) -> None:
        for row, token in zip(batch.rows, sampling.choose(batch.logits, batch.rows), strict=True):
            row.tokens.append(token)
            if token in self.ends or (row.stop and cut(self.raw_text(row), row.stop)[1]):
                row.finish = "stop"
            elif len(row.tokens) >= row.max_new_tokens:
                row.finish = "length"

    def release_memory(self) -> None:
        if self.device.type == "cuda":
            torch.cuda.empty_cache()

    def reuse(self) -> tuple[int, int]:
        return 0, 0  # nothing of a picture is kept

    def raw_text(self, row: RowT) -> str:
        """All that the row's tokens say."""
        text: str = self.tokenizer.decode(row.tokens, skip_special_tokens=True)
        return text

    def text(self, row: RowT) -> str:
        return cut(self.raw_text(row), row.stop)[0].lstrip()

    def partial(self, row: RowT) -> str:
        return stable_prefix(self.text(row), row.stop)

    def answer(self, row: RowT) -> Answer:
        return Answer(
            text=self.text(row).strip(),
            finish=row.finish or "length",
            prompt_tokens=row.prompt_tokens,
            new_tokens=len(row.tokens),
        )

    def limit(self, prompt_tokens: int, wanted: int) -> int:
        """How many of the `wanted` new tokens there is room for.

        Raises PromptTooLong when the prompt leaves next to none.
        """
        room = self.room - prompt_tokens
        if room < min(wanted, _LEAST_ROOM):
            raise errors.PromptTooLong(
                f"The prompt has {prompt_tokens} tokens with its pictures; prompt and answer must fit {self.room}.",
                param="prompt",
            )
        return min(wanted, room)


def ends(net: Any) -> frozenset[int]:
    """The tokens that end an answer, by a checkpoint's generation config and its decoder's."""
    found: set[int] = set()
    for tokens in (net.generation_config.eos_token_id, net.config.get_text_config().eos_token_id):
        found |= {tokens} if isinstance(tokens, int) else set(tokens or ())
    return frozenset(found)
