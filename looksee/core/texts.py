"""What white space in a text means, and how one is worded beside what a model writes."""

from __future__ import annotations

import re
from dataclasses import dataclass

_LINE_ENDS = re.compile(r"\r\n?")
# Horizontal white space that is no plain space or tab: no-break and typographic spaces, as word processors write them.
_OTHER_SPACES = re.compile(r"[\u00a0\u1680\u2000-\u200a\u202f\u205f\u3000]")


def tidied(text: str) -> str:
    """`text` without white space at its ends, with plain spaces for other ones, and with line feeds alone.

    A model has learnt plain text: what a browser or a word processor put there would be unknown signs to it.
    """
    return _OTHER_SPACES.sub(" ", _LINE_ENDS.sub("\n", text)).strip()


def in_one_line(text: str) -> str:
    """`text` with a single space for each run of white space, line ends included."""
    return " ".join(text.split())


@dataclass(frozen=True, slots=True)
class Wording:
    """A text has at most `max_words` words: it ends at the last sentence end in the second half of them, else behind
    the last of them. With `strip_opening` words at its beginning that only say that it is about a picture are cut.
    """

    max_words: int | None = None
    strip_opening: bool = False


AS_WRITTEN = Wording()
