"""Texts of at most so many words."""

from __future__ import annotations

import itertools

import pytest

from looksee.models.texts.word_limit import cut, sure

TWO = "A dog runs. It is brown, and it is fast."


@pytest.mark.parametrize(
    ("text", "most", "found"),
    [
        ("a red circle", 3, None),
        ("a red circle ", 3, None),
        ("a red circle - ", 3, None),
        ("a red circle!", 3, None),
        ("a red circle", 2, "a red"),
        ("a red circle, a blue square", 3, "a red circle"),
        ("a red circle (and a square)", 3, "a red circle"),
        (TWO, 4, "A dog runs."),
        (TWO, 5, "A dog runs."),
        (TWO, 7, "A dog runs. It is brown, and"),  # that end is in the first half
        (TWO, 9, "A dog runs. It is brown, and it is"),
        (TWO, 10, None),
        ("He said \"stop.\" Then he left and went home", 4, "He said \"stop.\""),
        ("Two dogs and Mr. Smith walk on", 5, "Two dogs and Mr. Smith"),
        ("Shown by J. Smith of the club", 4, "Shown by J. Smith"),
        ("It costs 3.5 dollars a piece", 3, "It costs 3.5"),
        ("it isn't one-sided at all", 3, "it isn't one-sided"),
        ("Yes. No.", 1, "Yes."),
        ("\u7ea2\u8272\u7684\u5706\u3002\u84dd\u8272", 4, "\u7ea2\u8272\u7684\u5706\u3002"),
        ("\u7ea2\u8272\u7684\u5706\u3002\u84dd\u8272", 2, "\u7ea2\u8272"),
        ("- one\n- two\n- three", 2, "- one\n- two"),
        ("", 1, None),
    ],
)  # fmt: skip
def test_it_ends_at_a_word_or_better_a_sentence(text: str, most: int, found: str | None) -> None:
    assert cut(text, most) == found


@pytest.mark.parametrize("most", range(1, 13))
@pytest.mark.parametrize(
    "text",
    [
        TWO,
        "A dog runs! \"It is brown.\" And (as all know) it is fast, e.g. faster than a cat.",
        "one, two, three: four - five; six. seven",
        "\u7ea2\u8272\u7684\u5706\u3002\u84dd\u8272\u7684\u65b9\u3002 red",
    ],
)  # fmt: skip
def test_what_is_sure_while_it_grows_is_a_beginning_of_what_it_becomes(text: str, most: int) -> None:
    for end in range(len(text) + 1):
        whole = text[:end].rstrip()
        final = cut(whole, most)
        final = whole if final is None else final
        told = [sure(text[:length], most) for length in range(end + 1)]
        assert all(final.startswith(one) for one in told)
        assert all(later.startswith(before) for before, later in itertools.pairwise(told))


def test_the_first_half_of_the_words_is_told_as_it_comes() -> None:
    assert sure("a red cir", 6) == "a red cir"
    assert sure("a red circle and a blue", 6) == "a red circle"
    assert sure("a red. circle. and a bl", 6) == "a red. circle."
