"""The cache of encoded pictures stays within its bytes, evicts the least recently used, and counts hits and misses."""

from __future__ import annotations

import sys
import threading

from looksee.models.encoding_cache import EncodingCache


def cache_of(max_bytes: int) -> EncodingCache[str]:
    return EncodingCache(max_bytes, len)


def test_the_least_recently_used_is_evicted() -> None:
    cache = cache_of(30)
    for key in (b"a", b"b", b"c"):
        cache.put(key, "x" * 10)
    assert cache.get(b"a") == "x" * 10
    cache.put(b"d", "y" * 9)
    assert b"b" not in cache
    assert b"a" in cache
    assert (cache.nbytes, len(cache)) == (29, 3)
    cache.put(b"e", "z" * 12)  # two have to go
    assert (cache.nbytes, len(cache)) == (9 + 12, 2)
    assert cache.get(b"c") is None
    assert cache.get(b"a") is None
    assert cache.get(b"d") == "y" * 9
    assert (cache.hits, cache.misses) == (2, 2)


def test_only_get_is_a_use() -> None:
    cache = cache_of(20)
    cache.put(b"a", "x" * 10)
    cache.put(b"b", "y" * 10)
    assert cache.peek(b"a") == "x" * 10
    assert b"a" in cache
    cache.put(b"c", "z" * 10)
    assert cache.peek(b"a") is None
    assert (cache.hits, cache.misses) == (0, 0)


def test_a_value_that_is_too_large_or_there_already_changes_nothing() -> None:
    cache = cache_of(20)
    cache.put(b"a", "x" * 15)
    cache.put(b"a", "y" * 15)
    cache.put(b"big", "z" * 21)
    assert cache.get(b"a") == "x" * 15
    assert cache.get(b"big") is None
    assert (cache.nbytes, len(cache)) == (15, 1)
    nothing = cache_of(0)
    nothing.put(b"a", "x")
    assert nothing.get(b"a") is None


def test_rows_that_come_together_share_one_miss() -> None:
    cache = cache_of(20)
    assert cache.get(b"a", rows=3) is None
    assert (cache.hits, cache.misses) == (2, 1)
    cache.put(b"a", "x")
    assert cache.get(b"a", rows=3) == "x"
    assert (cache.hits, cache.misses) == (5, 1)


def test_clear_removes_all_and_leaves_room() -> None:
    cache = cache_of(20)
    cache.put(b"a", "x" * 15)
    cache.clear()
    assert (cache.nbytes, len(cache)) == (0, 0)
    cache.put(b"b", "y" * 20)
    assert cache.get(b"b") == "y" * 20


def test_threads_share_it() -> None:
    """Eviction and lookup change the same order; without the lock one of them fails, or the bytes no longer add up."""
    cache, failures = cache_of(50), list[BaseException]()

    def work(first: int) -> None:
        try:
            for number in range(4000):
                key = bytes([(first + number) % 11])
                cache.put(key, "x" * 10)
                cache.get(key)
        except BaseException as error:
            failures.append(error)

    threads = [threading.Thread(target=work, args=(first,)) for first in range(6)]
    interval = sys.getswitchinterval()
    sys.setswitchinterval(1e-6)
    try:
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    finally:
        sys.setswitchinterval(interval)
    assert not failures
    assert cache.nbytes == 10 * len(cache) == 50
    assert cache.hits + cache.misses == 6 * 4000
