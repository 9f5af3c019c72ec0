"""Where a row stands in its grammar: a function of its tokens alone, so it may be computed again at any time."""

from __future__ import annotations

from collections.abc import Collection
from typing import Any


class Matcher:
    """Of one row, whose tokens are passed each time: what is known of those passed before is not computed again.

    For one thread at a time.
    """

    scores_end = False  # whether the end of a text is among the tokens whose probabilities are told

    def __init__(self, start: Any, ends: Collection[int], param: str) -> None:
        """`start` is a matcher of the library `llguidance` at its start, and stays there; `ends` are the ids that end
        an answer; `param` is what errors about the grammar name.
        """
        self.param = param
        self._start, self._ends = start, ends
        self._matcher = start.deep_copy()
        self._seen: list[int] = []

    def allowed(self, tokens: list[int]) -> bytes | None:
        """A bit for each id of the vocabulary, the lowest of a byte first: whether it may be next.

        An id that ends answers may be once the text is complete, and where nothing else may. None where the library
        gave up, as it does when a step takes too much.
        """
        if not self._follow(tokens):
            return None
        bits = bytearray(self._matcher.compute_bitmask())
        if self._matcher.is_error():
            return None
        complete = self._matcher.is_accepting()
        for number in self._ends:  # the library knows one of them
            bits[number // 8] |= complete << number % 8
        return bytes(bits)

    def is_over(self, tokens: list[int]) -> bool:
        """Whether the text is complete and nothing may follow."""
        return self._follow(tokens) and bool(self._matcher.is_stopped() and self._matcher.is_accepting())

    def _follow(self, tokens: list[int]) -> bool:
        """Go on to the end of `tokens`; whether the library could."""
        if tokens[: len(self._seen)] != self._seen:
            self._matcher = self._start.deep_copy()  # the library's own way back does not lead out of an error
            self._seen = []
        new = tokens[len(self._seen) :]
        if new:
            self._matcher.consume_tokens(new)
            self._seen += new
        return not self._matcher.is_error()
