"""Sampling each row's next token from its logits, by the row's own `Sampling`.

Rows are sampled in one pass but independently: a row's token depends on its logits, its `Sampling`, its seed and its
number of tokens, not on the other rows. The random number of a token is a hash of the row's seed and the token's index,
so a row that is computed again after a failure gets the same numbers.
"""

from __future__ import annotations

import hashlib
import secrets
from collections import Counter
from collections.abc import Sequence

import torch
from torch import Tensor

from looksee.core import errors
from looksee.core.tasks import Sampling
from looksee.models.forcing import force
from looksee.models.interface import Row
from looksee.models.token_scores import StepScores

_GREEDY_BELOW = 1e-4  # temperature: only the likeliest token has a chance, and logits over it lose their order


def seed_of(sampling: Sampling) -> int:
    """The job's seed, or a random one of 63 bits."""
    return secrets.randbits(63) if sampling.seed is None else sampling.seed


def check_bias(rule: Sampling, vocabulary: int) -> None:
    """Raises InvalidValue for a `logit_bias` of a token that there are no logits of."""
    for token, _ in rule.logit_bias:
        if not 0 <= token < vocabulary:
            raise errors.InvalidValue(
                f"'logit_bias' names the token {token}; this model's are 0 to {vocabulary - 1}.", param="logit_bias"
            )


def choose(logits: Tensor, rows: Sequence[Row], pending: Sequence[int]) -> Tensor:
    """The next token id of each row, (rows,) int64 on the device; -1 for one whose logits are not finite.

    `logits` is (rows, vocabulary) float32, in the order of `rows`; minus infinity stands for an id that may not be
    chosen. It is changed. `pending` is how many tokens were chosen for each row that are not among its `tokens` yet;
    none for rows that penalize or are forced into a form.
    """
    scores = StepScores.asked(logits, rows)
    _adjust(logits, rows)
    force(logits, rows)
    best, chosen = logits.max(-1)  # NaN where any of them is
    drawing = [index for index, row in enumerate(rows) if row.sampling.temperature > _GREEDY_BELOW]
    if drawing:
        indices = torch.tensor(drawing, device=logits.device)
        numbers = [len(rows[index].tokens) + pending[index] for index in drawing]
        chosen[indices] = _draw(logits[indices], [rows[index] for index in drawing], numbers)
    if scores is not None:
        scores.give(chosen, pending)
    return _finite(chosen, best)


def _adjust(logits: Tensor, rows: Sequence[Row]) -> None:
    """Change the logits by the rows' penalties and biases."""
    indices, tokens = list[int](), list[int]()
    factors, addends = list[float](), list[float]()
    for index, row in enumerate(rows):
        rule = row.sampling
        if not (rule.penalizes or rule.logit_bias):
            continue
        biases = dict(rule.logit_bias)
        counts = Counter(row.tokens) if rule.penalizes else Counter[int]()
        for token in counts.keys() | biases.keys():
            chosen = token in counts
            indices.append(index)
            tokens.append(token)
            factors.append(rule.repetition_penalty if chosen else 1.0)
            addends.append(
                biases.get(token, 0.0) - rule.frequency_penalty * counts[token] - rule.presence_penalty * chosen
            )
    if not indices:
        return
    where = tuple(torch.tensor([indices, tokens], device=logits.device))
    factor, addend = torch.tensor([factors, addends], dtype=torch.float32, device=logits.device)
    found = logits[where]
    logits[where] = torch.where(found > 0, found / factor, found * factor) + addend


def read_indices(indices: Tensor) -> list[int | None]:
    """Indices (rows,) int64 as numbers, None for -1: one transfer where they are on a device."""
    found: list[int] = indices.tolist()
    return [None if number < 0 else number for number in found]


def _finite(chosen: Tensor, best: Tensor) -> Tensor:
    """`chosen` (rows,) int64, with -1 where `best` of the same shape is not finite."""
    return chosen.where(best.isfinite(), -1)


def _draw(logits: Tensor, rows: Sequence[Row], numbers: Sequence[int]) -> Tensor:
    """A token for each row from what its temperature, top_k and top_p leave, by inverse transform sampling.

    `numbers` are the indices of the tokens in their rows.
    """

    def column(numbers: Sequence[float]) -> Tensor:
        return torch.tensor(numbers, dtype=torch.float32, device=logits.device)[:, None]

    rules = [row.sampling for row in rows]
    scaled, order = (logits / column([rule.temperature for rule in rules])).sort(dim=-1, descending=True, stable=True)
    chances = scaled.softmax(-1)
    ranks = torch.arange(chances.shape[-1], device=logits.device)
    max_ranks = column([rule.top_k or chances.shape[-1] for rule in rules])
    # The mass of likelier tokens: the token that crosses top_p is still kept, and so the first always is.
    before = chances.cumsum(-1) - chances
    kept = chances * (
        (ranks < max_ranks)
        & (chances >= column([rule.min_p for rule in rules]) * chances[:, :1])
        & (before <= column([rule.top_p for rule in rules]))
    )
    mass = kept.cumsum(-1)
    level = column([_uniform(row.seed, number) for row, number in zip(rows, numbers, strict=True)]) * mass[:, -1:]
    last = ((kept > 0).sum(-1, keepdim=True) - 1).clamp(min=0)  # nothing is kept where logits are not finite
    rank = torch.minimum((mass <= level).sum(-1, keepdim=True), last)  # rounding may put the level at the total mass
    return order.gather(-1, rank)[:, 0]


def _uniform(seed: int, number: int) -> float:
    """The random number in [0, 1) of the token with the index `number` in a row with this seed."""
    digest = hashlib.blake2b(f"{seed}:{number}".encode(), digest_size=8).digest()
    return (int.from_bytes(digest) >> 11) / 2**53
