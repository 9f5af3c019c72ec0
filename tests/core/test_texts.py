"""What a caller's white space means to a model."""

from __future__ import annotations

import pytest

from looksee.core.texts import in_one_line, tidied


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("What color\r\nis it?", "What color\nis it?"),
        ("What color\ris it?", "What color\nis it?"),
        ("  What color is it?\n", "What color is it?"),
        ("What\u00a0color\u2009is\u3000it?", "What color is it?"),
        ("def f():\n    return 1", "def f():\n    return 1"),
        ("\u00a0 \n", ""),
        ("größer, дом, 猫", "größer, дом, 猫"),
    ],
)
def test_a_text_is_tidied(text: str, expected: str) -> None:
    assert tidied(text) == expected
    assert tidied(expected) == expected


@pytest.mark.parametrize("text", ["a red circle", " a  red\tcircle ", "a\r\nred\n circle", "a\u00a0red circle\n"])
def test_one_line_has_single_spaces(text: str) -> None:
    assert in_one_line(text) == "a red circle"
