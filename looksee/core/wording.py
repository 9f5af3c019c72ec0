"""How a text is worded, beside what the model writes: how long it is, and how it begins."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Wording:
    """A text has at most `max_words` words: it ends at the last sentence end in the second half of them, else behind
    the last of them. With `strip_opening` words at its beginning that only say that it is about a picture are cut.
    """

    max_words: int | None = None
    strip_opening: bool = False


AS_WRITTEN = Wording()
