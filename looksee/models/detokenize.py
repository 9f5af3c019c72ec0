"""Stop strings, and the part of an unfinished row's text that no later token changes."""

from __future__ import annotations

from collections.abc import Sequence

_REPLACEMENT = "\ufffd"  # decoded from the first bytes of a character whose other bytes are still to come


def truncate_at_stop(text: str, stop: Sequence[str]) -> tuple[str, bool]:
    """The text before the first of the `stop` strings in it, and whether there is one."""
    found = [index for index in (text.find(string) for string in stop) if index >= 0]
    return (text[: min(found)], True) if found else (text, False)


def stable_prefix(text: str, stop: Sequence[str]) -> str:
    """The part of an unfinished row's text that no later token changes.

    Held back are incomplete characters, whitespace at the end (a finished text has none there) and what may become a
    stop string.
    """
    text = text.rstrip(_REPLACEMENT).rstrip()
    partial = [length for string in stop for length in range(1, len(string)) if text.endswith(string[:length])]
    return text[: len(text) - max(partial, default=0)].rstrip()
