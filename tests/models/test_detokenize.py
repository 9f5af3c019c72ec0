"""What may be shown of an unfinished text, and where a stop string cuts it."""

from __future__ import annotations

import pytest

from looksee.models.detokenize import stable_prefix, truncate_at_stop


@pytest.mark.parametrize(
    ("text", "stop", "expected"),
    [
        ("a red circle", (), ("a red circle", False)),
        ("a red circle", ("zz",), ("a red circle", False)),
        ("a red circle", ("red",), ("a ", True)),
        ("a red circle", ("circle", "red"), ("a ", True)),
        ("stop", ("stop",), ("", True)),
        ("a\nb", ("\n",), ("a", True)),
    ],
)
def test_truncate_at_stop(text: str, stop: tuple[str, ...], expected: tuple[str, bool]) -> None:
    assert truncate_at_stop(text, stop) == expected


@pytest.mark.parametrize(
    ("text", "stop", "expected"),
    [
        ("a red", (), "a red"),
        ("a red ", (), "a red"),
        ("a red\n\n", (), "a red"),
        ("caf\ufffd", (), "caf"),
        ("one. Tw", (". Two",), "one"),
        ("one. T", ("T!", ". Two"), "one"),
        ("one. X", (". Two",), "one. X"),
        ("aaa", ("aaaa",), ""),
        ("", ("x",), ""),
    ],
)
def test_stable_prefix(text: str, stop: tuple[str, ...], expected: str) -> None:
    assert stable_prefix(text, stop) == expected


def test_pieces_of_a_growing_text_only_ever_add() -> None:
    whole = "one two. Th\u00e9 end  of it.\n"
    shown = ""
    for length in range(len(whole) + 1):
        now = stable_prefix(whole[:length], (". Th\u00e9 END", "it!"))
        assert now.startswith(shown)
        shown = now
    assert whole.startswith(shown)
