"""The probabilities of tokens, for the rows that ask for them. A row that does not ask costs nothing here.

They are those of the model: of its logits as they come, before a temperature, penalties, biases or a mask changes them.
So they say how sure the model was, however its answer was drawn, and are comparable between requests. What a model may
never write in a place (minus infinity in its logits) has no part in them.

All of a step's are computed together on the device and copied to the host behind it, as the tokens are. Nobody waits
for that copy: it was begun before that of the tokens, which a row has only when theirs has ended.
"""

from __future__ import annotations

from collections.abc import Callable, Container, Sequence
from typing import Self

import torch
from torch import Tensor

from looksee.core.scoring.tokens import LEAST_LOGPROB, TokenChance, TokenScore
from looksee.models.interface import Row

_DIGITS = 6
Bytes = Callable[[int], bytes]


class StepScores:
    """Of one step, for those of its rows that ask: their log-probabilities, before anything changes the logits."""

    def __init__(self, logits: Tensor, rows: Sequence[Row], asking: list[int]) -> None:
        self._rows, self._asking = [rows[index] for index in asking], asking
        self._places = None if len(asking) == len(rows) else torch.tensor(asking, device=logits.device)
        self._logprobs = self._of_rows(logits).log_softmax(-1)

    @classmethod
    def asked(cls, logits: Tensor, rows: Sequence[Row]) -> Self | None:
        """None where no row asks. `logits` is (rows, vocabulary) float32; it is not changed."""
        asking = [index for index, row in enumerate(rows) if row.sampling.logprobs is not None]
        return cls(logits, rows, asking) if asking else None

    def give(self, chosen: Tensor, pending: Sequence[int]) -> None:
        """Give the rows those of their token in this step, and of the likeliest ones in its place.

        `chosen` (rows,) int64 are the tokens of all rows of the step; `pending` as for `sampling.choose`.
        """
        most = min(max(row.sampling.logprobs or 0 for row in self._rows), self._logprobs.shape[-1])
        own = self._logprobs.gather(-1, self._of_rows(chosen)[:, None])
        values, ids = self._logprobs.topk(most, dim=-1)
        told = _StepOnHost(_to_host(torch.cat([own, values], dim=-1)), _to_host(ids))
        for place, (row, index) in enumerate(zip(self._rows, self._asking, strict=True)):
            del row.scores[len(row.tokens) + pending[index] :]  # of tokens that a failure took, which are chosen again
            row.scores.append((told, place))

    def _of_rows(self, values: Tensor) -> Tensor:
        return values if self._places is None else values[self._places]


class _StepOnHost:
    """`logprobs` (rows, 1 + most) float32, the chosen token's first; `ids` (rows, most) int64 of the others."""

    def __init__(self, logprobs: Tensor, ids: Tensor) -> None:
        self._logprobs, self._ids = logprobs, ids

    def read(self, place: int, token: int, count: int, data: Bytes) -> TokenScore:
        """Those of the row at `place`, with `count` alternatives if there are as many."""
        count = min(count, self._ids.shape[1])
        own, *others = self._logprobs[place, : count + 1].tolist()
        ids = self._ids[place, :count].tolist()
        alternatives = tuple(_chance(data(number), value) for number, value in zip(ids, others, strict=True))
        return TokenScore(_chance(data(token), own), alternatives)


def token_scores(
    row: Row, ids: Sequence[int], data: Bytes, *, start: int = 0, passed_over: Container[int] = ()
) -> tuple[TokenScore, ...]:
    """Those of the tokens `ids`, which the row has from its token with the index `start` on; none if it asks for none.

    `data` gives a token's bytes. Those in `passed_over`, which are no text, are left out.
    """
    count = row.sampling.logprobs
    if count is None:
        return ()
    steps = row.scores[start : start + len(ids)]
    return tuple(
        step.read(place, token, count, data)
        for token, (step, place) in zip(ids, steps, strict=True)
        if token not in passed_over
    )


def _chance(data: bytes, logprob: float) -> TokenChance:
    return TokenChance(data, round(max(logprob, LEAST_LOGPROB), _DIGITS))


def _to_host(values: Tensor) -> Tensor:
    if values.device.type != "cuda":
        return values
    host = torch.empty(values.shape, dtype=values.dtype, pin_memory=True)  # else the copy would wait
    return host.copy_(values, non_blocking=True)
