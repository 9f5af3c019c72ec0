"""What of a row's text is certain while its tokens still come, and where a stop string ends it."""

from __future__ import annotations

from collections.abc import Sequence

_UNFINISHED = "\ufffd"  # what a decoder shows for the first bytes of a character whose others are still to come


def cut(text: str, stop: Sequence[str]) -> tuple[str, bool]:
    """The text before the first stop string in it, and whether there is one."""
    ends = [place for place in (text.find(string) for string in stop) if place >= 0]
    return (text[: min(ends)], True) if ends else (text, False)


def stable_prefix(text: str, stop: Sequence[str]) -> str:
    """The part of an unfinished row's text that stays, whatever comes next.

    Held back are characters that are not whole, space at the end (a finished text has none there) and what may become a
    stop string.
    """
    text = text.rstrip(_UNFINISHED).rstrip()
    beginnings = [length for string in stop for length in range(1, len(string)) if text.endswith(string[:length])]
    return text[: len(text) - max(beginnings, default=0)].rstrip()
