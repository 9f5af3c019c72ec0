"""Choosing each row's next token from its logits, by its own rule.

Rows are decided together and independently: a row's token depends on its logits, its `Sampling` and how many tokens it
has, never on who shares the batch. The random number of a token is a hash of the row's seed and the token's place, so a
row that is computed again after a failure draws the same numbers.
"""

from __future__ import annotations

import hashlib
import secrets
from collections.abc import Sequence

import torch
from torch import Tensor

from looksee.core.tasks import Sampling
from looksee.models.interface import Row

_COLDEST = 1e-4  # below, the likeliest token is the only one, and logits over the temperature are too large to compare


def seed_of(sampling: Sampling) -> int:
    """The seed that was asked for, or a fresh one."""
    return secrets.randbits(63) if sampling.seed is None else sampling.seed


def choose(logits: Tensor, rows: Sequence[Row]) -> list[int]:
    """The next token of each row; `logits` is (rows, vocabulary) float32."""
    chosen = logits.argmax(-1)
    drawing = [index for index, row in enumerate(rows) if row.sampling.temperature > _COLDEST]
    if drawing:
        places = torch.tensor(drawing, device=logits.device)
        chosen[places] = _draw(logits[places], [rows[index] for index in drawing])
    tokens: list[int] = chosen.tolist()
    return tokens


def _draw(logits: Tensor, rows: Sequence[Row]) -> Tensor:
    """One token a row from what its temperature, top_k and top_p leave, by inverting the distribution function."""

    def column(numbers: Sequence[float]) -> Tensor:
        return torch.tensor(numbers, dtype=torch.float32, device=logits.device)[:, None]

    rules = [row.sampling for row in rows]
    scaled, order = (logits / column([rule.temperature for rule in rules])).sort(dim=-1, descending=True, stable=True)
    chances = scaled.softmax(-1)
    ranks = torch.arange(chances.shape[-1], device=logits.device)
    most = column([rule.top_k or chances.shape[-1] for rule in rules])
    before = (
        chances.cumsum(-1) - chances
    )  # of the likelier ones; the token that crosses top_p still counts, and so the first always
    kept = chances * ((ranks < most) & (before <= column([rule.top_p for rule in rules])))
    mass = kept.cumsum(-1)
    level = column([_uniform(row) for row in rows]) * mass[:, -1:]
    last = (kept > 0).sum(-1, keepdim=True) - 1
    rank = torch.minimum((mass <= level).sum(-1, keepdim=True), last)  # rounding may put the level at the very top
    return order.gather(-1, rank)[:, 0]


def _uniform(row: Row) -> float:
    """A number in [0, 1) that belongs to the row's next token."""
    digest = hashlib.blake2b(f"{row.seed}:{len(row.tokens)}".encode(), digest_size=8).digest()
    return (int.from_bytes(digest) >> 11) / 2**53
