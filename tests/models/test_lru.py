"""What is kept of pictures stays within its bytes, and who asks is counted."""

from __future__ import annotations

from looksee.models.lru import LRU


def kept(limit: int) -> LRU[str]:
    return LRU(limit, len)


def test_what_was_not_asked_for_the_longest_makes_room() -> None:
    values = kept(30)
    for key in (b"a", b"b", b"c"):
        values.put(key, "x" * 10)
    assert values.get(b"a") == "x" * 10
    values.put(b"d", "y" * 9)
    assert b"b" not in values
    assert b"a" in values
    assert (values.bytes, len(values)) == (29, 3)
    values.put(b"e", "z" * 12)  # two have to go
    assert (values.bytes, len(values)) == (9 + 12, 2)
    assert values.get(b"c") is None
    assert values.get(b"a") is None
    assert values.get(b"d") == "y" * 9
    assert (values.hits, values.misses) == (2, 2)


def test_only_a_second_question_counts_as_use() -> None:
    values = kept(20)
    values.put(b"a", "x" * 10)
    values.put(b"b", "y" * 10)
    assert values.peek(b"a") == "x" * 10
    assert b"a" in values
    values.put(b"c", "z" * 10)
    assert values.peek(b"a") is None
    assert (values.hits, values.misses) == (0, 0)


def test_what_is_too_large_or_there_already_changes_nothing() -> None:
    values = kept(20)
    values.put(b"a", "x" * 15)
    values.put(b"a", "y" * 15)
    values.put(b"big", "z" * 21)
    assert values.get(b"a") == "x" * 15
    assert values.get(b"big") is None
    assert (values.bytes, len(values)) == (15, 1)
    nothing = kept(0)
    nothing.put(b"a", "x")
    assert nothing.get(b"a") is None


def test_askers_that_come_together_share_one_miss() -> None:
    values = kept(20)
    assert values.get(b"a", askers=3) is None
    assert (values.hits, values.misses) == (2, 1)
    values.put(b"a", "x")
    assert values.get(b"a", askers=3) == "x"
    assert (values.hits, values.misses) == (5, 1)


def test_all_can_be_given_back() -> None:
    values = kept(20)
    values.put(b"a", "x" * 15)
    values.clear()
    assert (values.bytes, len(values)) == (0, 0)
    values.put(b"b", "y" * 20)
    assert values.get(b"b") == "y" * 20
