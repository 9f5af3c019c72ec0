"""The probabilities of an answer's tokens. Logarithms are natural ones."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

MOST_ALTERNATIVES = 20
LEAST_LOGPROB = -9999.0  # in the place of minus infinity, which JSON has not

_BYTES_AS_BASE64: Any = {"ser_json_bytes": "base64", "val_json_bytes": "base64"}


@dataclass(frozen=True, slots=True)
class TokenChance:
    """A token that might have been written, by its bytes of UTF-8, which may be a part of a character only."""

    __pydantic_config__ = _BYTES_AS_BASE64

    data: bytes
    logprob: float

    @property
    def text(self) -> str:
        """The bytes as a text; what is no whole character is U+FFFD."""
        return self.data.decode(errors="replace")


@dataclass(frozen=True, slots=True)
class TokenScore:
    """A token of an answer, and the likeliest ones in its place, itself among them or not, the likeliest first."""

    chosen: TokenChance
    alternatives: tuple[TokenChance, ...] = ()


def mean_logprob(tokens: Sequence[TokenScore]) -> float | None:
    """The mean of the tokens' log-probabilities; None where there are none."""
    return sum(token.chosen.logprob for token in tokens) / len(tokens) if tokens else None
