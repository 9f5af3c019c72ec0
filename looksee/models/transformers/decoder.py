"""What the models with transformers' weights share: rows of token ids, sampling, and answers that are text."""

from __future__ import annotations

import functools
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, TypeVar

import torch
from torch import Tensor, nn

from looksee.core.scoring.tokens import TokenScore
from looksee.core.tasks import Answer, Finish
from looksee.models import sampling
from looksee.models.core.context import room
from looksee.models.core.decoder import Decoder
from looksee.models.core.model import DecodedRow, DecoderModel
from looksee.models.grammar.grammars import Grammars
from looksee.models.texts.detokenize import Detokenizer
from looksee.models.texts.row_text import RowText
from looksee.models.texts.token_bytes import TokenBytes
from looksee.models.token_scores import token_scores

# In one pass of a vision tower: for more, a published one needs gigabytes beside the weights. 16 tiles of InternVL, and
# 4 of Gemma's larger pictures.
CROPS_AT_ONCE, PIXELS_AT_ONCE = 16, 16 * 448 * 448


@dataclass(slots=True, kw_only=True)
class PromptRow(DecodedRow):
    """A row with its prompt's token ids. `told` is None until it is first needed."""

    prompt_ids: list[int]
    told: RowText | None = None

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


class TransformersModel(DecoderModel[RowT]):
    """A loaded model.

    `eos_ids` are the token ids that end an answer; `max_positions` bounds prompt and answer together.
    """

    dtype: torch.dtype
    tokenizer: Any
    net: Any
    decoder: Decoder
    eos_ids: frozenset[int]
    max_positions: int

    def embed_latest(self, rows: Sequence[RowT]) -> Tensor:
        ids = torch.tensor([row.latest for row in rows])
        return self.decoder.embed(ids.to(self.device)[:, None])

    def choose(self, hidden: Tensor, rows: Sequence[RowT], pending: Sequence[int]) -> Tensor:
        return sampling.choose(self.decoder.logits(hidden), rows, pending)

    def accept(self, row: RowT, token: int) -> None:
        row.tokens.append(token)
        row.finish = "stop" if token in self.eos_ids else self.row_text(row).end(row.tokens)
        if row.finish is None and row.is_over:
            row.finish = "stop"
        if row.finish is None and len(row.tokens) >= row.max_new_tokens:
            row.finish = "length"

    def reuse(self) -> dict[str, tuple[int, int]]:
        return {}  # without a cache of encoded images

    def networks(self) -> tuple[nn.Module, nn.Module]:
        """The decoder, and the library's network, which has the rest."""
        return self.decoder, self.net

    @functools.cached_property
    def detokenizer(self) -> Detokenizer:
        """The tokenizer's way back to text."""
        return for_tokenizer(self.tokenizer)

    @functools.cached_property
    def grammars(self) -> Grammars:
        """The forms that answers can be forced into."""
        return Grammars(self.tokenizer.backend_tokenizer, self.eos_ids, self.decoder.vocabulary)

    @functools.cached_property
    def token_bytes(self) -> TokenBytes:
        """The bytes of the tokenizer's tokens."""
        return TokenBytes(self.tokenizer.backend_tokenizer)

    def row_text(self, row: RowT) -> RowText:
        """What the row's tokens say."""
        if row.told is None:
            forced, before = row.matcher is not None, self.continued(row)
            row.told = RowText(self.detokenizer, row.stop, before, forced=forced, wording=row.wording)
        return row.told

    def continued(self, row: RowT) -> Sequence[int]:
        """The ids of a prompt that are decoded with the new ones, which continue it."""
        return ()

    def text(self, row: RowT) -> str:
        return self.row_text(row).so_far(row.tokens)

    def partial(self, row: RowT) -> str:
        return self.row_text(row).partial(row.tokens)

    def answer(self, row: RowT) -> Answer:
        text, finish = self.row_text(row).whole(row.tokens, row.finish)
        return Answer(
            text=text,
            finish=finish,
            prompt_tokens=row.prompt_tokens,
            new_tokens=len(row.tokens),
            tokens=self._scores(row, finish),
        )

    def _scores(self, row: RowT, finish: Finish) -> tuple[TokenScore, ...]:
        if row.sampling.logprobs is None:
            return ()
        if row.matcher is not None and row.matcher.scores_end:
            return token_scores(row, row.tokens, self.token_bytes.of)
        shown = self.row_text(row).shown(row.tokens, finish)
        ids = row.tokens[shown.start : shown.stop]
        silent = {number for number in ids if number in self.eos_ids or self.detokenizer.is_silent(number)}
        return token_scores(row, ids, self.token_bytes.of, start=shown.start, passed_over=silent)

    def fit_new_tokens(self, prompt_tokens: int, wanted: int) -> int:
        """`wanted`, or as many new tokens as fit behind the prompt.

        Raises PromptTooLong when that is fewer than `wanted` and fewer than 16.
        """
        return min(wanted, room(prompt_tokens, self.max_positions, wanted))


def for_tokenizer(tokenizer: Any) -> Detokenizer:
    """The detokenizer of one of transformers' tokenizers: without special tokens, and with the cleaning it asks for."""
    decode = functools.partial(tokenizer.decode, skip_special_tokens=True)
    return Detokenizer(tokenizer.backend_tokenizer, decode if tokenizer.clean_up_tokenization_spaces else None)


def in_passes(crops: int, height: int, width: int) -> list[slice]:
    """The crops of this size that go through a vision tower together."""
    at_once = max(1, min(CROPS_AT_ONCE, PIXELS_AT_ONCE // (height * width)))
    return [slice(start, start + at_once) for start in range(0, crops, at_once)]


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
