"""What the first request is compared with."""

from __future__ import annotations

from bench.first_request import HEAD, Firsts, pictures


def test_the_first_is_compared_with_the_tenth_and_with_the_usual_one() -> None:
    found = Firsts("blip", 6.4, (0.022, *[0.02] * 8, 0.01))
    assert found.row == "| blip | 6 | 22 | 10 | 20 | 2.20 | 1.10 |"
    assert HEAD.splitlines()[0].count("|") == found.row.count("|")


def test_no_picture_is_sent_twice() -> None:
    assert len(set(pictures(10))) == 10
