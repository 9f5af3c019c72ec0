"""Damage of a file, by rule: each number is always the same damage."""

from __future__ import annotations

import random
import struct
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field

from tools.fuzz.seeds import Seed, seeds

CUT, BEHIND = "cut", "behind"
_LENGTHS = (0, 1, 2, 0x7F, 0xFF, 0x7FFF, 0xFFFF, 0x10000, 0x7FFFFFFF, 0x80000000, 0xFFFFFFFE, 0xFFFFFFFF)
_BYTES = (0x00, 0x01, 0x7F, 0x80, 0xFE, 0xFF)
_HEAD = 96  # bytes in which the headers of all formats are, or begin


@dataclass(frozen=True)
class Damaged:
    """A file made of a sound one. `rule` says how."""

    number: int
    rule: str
    seed: Seed
    data: bytes = field(repr=False)

    def __str__(self) -> str:
        return f"{self.number}, {self.seed.name}, {self.rule}"


def _cut(data: bytes, rng: random.Random) -> bytes:
    return data[: rng.randrange(len(data)) if rng.random() < 0.7 else max(0, len(data) - rng.randint(1, 24))]


def _flip(data: bytes, rng: random.Random) -> bytes:
    found = bytearray(data)
    for _ in range(rng.choice((1, 1, 1, 2, 8, 64))):
        found[rng.randrange(len(found))] ^= 1 << rng.randrange(8)
    return bytes(found)


def _head(data: bytes, rng: random.Random) -> bytes:
    found = bytearray(data)
    for _ in range(rng.randint(1, 3)):
        found[rng.randrange(min(_HEAD, len(found)))] = rng.choice((*_BYTES, rng.randrange(256)))
    return bytes(found)


def _run(data: bytes, rng: random.Random) -> bytes:
    at = rng.randrange(len(data))
    return data[:at] + bytes([rng.choice(_BYTES)]) * rng.randint(1, 64) + data[at + rng.randint(0, 64) :]


def _length(data: bytes, rng: random.Random) -> bytes:
    """A number of two or four bytes that says what is not: of a chunk, a side, an offset."""
    width, order = rng.choice((2, 4)), rng.choice("<>")
    value = rng.choice((*_LENGTHS, len(data), rng.getrandbits(32))) & (2 ** (8 * width) - 1)
    at = rng.randrange(max(1, min(len(data) - width, 2 * _HEAD if rng.random() < 0.7 else len(data))))
    return data[:at] + struct.pack(order + {2: "H", 4: "I"}[width], value) + data[at + width :]


def _removed(data: bytes, rng: random.Random) -> bytes:
    at = rng.randrange(len(data))
    return data[:at] + data[at + rng.randint(1, max(1, len(data) // 4)) :]


def _doubled(data: bytes, rng: random.Random) -> bytes:
    at, length = rng.randrange(len(data)), rng.randint(1, max(1, len(data) // 2))
    return data[: at + length] + data[at : at + length] * rng.choice((1, 1, 2, 20)) + data[at + length :]


def _swapped(data: bytes, rng: random.Random) -> bytes:
    one, other = sorted(rng.randrange(len(data)) for _ in range(2))
    length = rng.randint(1, 32)
    found = bytearray(data)
    found[one : one + length], found[other : other + length] = data[other : other + length], data[one : one + length]
    return bytes(found)


def _noise(data: bytes, rng: random.Random) -> bytes:
    at = rng.randrange(len(data))
    return data[:at] + rng.randbytes(rng.randint(1, 400)) + data[at:]


def _grafted(data: bytes, rng: random.Random) -> bytes:
    """The beginning of one file on the rest of another, mostly of another format."""
    other = rng.choice(seeds()).data
    return data[: rng.choice((2, 4, 8, 12, 16, 33, 64))] + other[rng.choice((0, 2, 8, 12, 33, 64)) :]


def _behind(data: bytes, rng: random.Random) -> bytes:
    return data + rng.choice((bytes(rng.randint(1, 2000)), rng.randbytes(rng.randint(1, 2000)), data))


_RULES: dict[str, Callable[[bytes, random.Random], bytes]] = {
    CUT: _cut,
    "flip": _flip,
    "head": _head,
    "run": _run,
    "length": _length,
    "removed": _removed,
    "doubled": _doubled,
    "swapped": _swapped,
    "noise": _noise,
    "grafted": _grafted,
    BEHIND: _behind,
}
_OFTEN = (CUT, "flip", "head", "length")  # what happens to files, and what is forged


def damaged(count: int) -> Iterator[Damaged]:
    """The first `count` of them, of all seeds and rules in turn."""
    rules, sound = (*_RULES, *_OFTEN), seeds()
    for number in range(count):
        rng = random.Random(f"fuzz:{number}")
        seed = sound[number % len(sound)]
        rule = rules[number // len(sound) % len(rules)] if number % 3 else rng.choice(rules)
        data = _RULES[rule](seed.data, rng)
        if rng.random() < 0.15 and rule != BEHIND:
            rule, data = "several", _RULES[rng.choice(_OFTEN)](data or b"\0", rng)
        yield Damaged(number, rule, seed, data)
