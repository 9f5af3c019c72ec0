"""Files that were damaged by rule. (All 5,000 of them: `make fuzz`.)"""

from __future__ import annotations

import functools
import gc
import warnings
from typing import Any

import pytest
from PIL import Image

from looksee.core.images import decode as real_decode
from tools.fuzz import judge
from tools.fuzz.bombs import bombs
from tools.fuzz.damage import BEHIND, CUT, Damaged, damaged
from tools.fuzz.judge import BadOutcome, check, judged, silence
from tools.fuzz.seeds import seeds

COUNT = 500


@functools.cache
def sound() -> bytes:
    return next(seed.data for seed in seeds() if seed.name == "png")


def test_each_gives_a_clear_error_or_the_right_picture() -> None:
    gc.collect()
    held = sum(issubclass(type(one), Image.Image) for one in gc.get_objects())
    failed, codes = [], set()
    for file in damaged(COUNT):
        try:
            codes.add(check(file).code)
        except BadOutcome as bad:
            failed.append(f"{file}: {bad}")
    assert not failed
    assert codes >= {"", "corrupt_image", "unsupported_image_type", "image_too_large"}
    gc.collect()
    assert sum(issubclass(type(one), Image.Image) for one in gc.get_objects()) <= held


@pytest.mark.parametrize("name", bombs())
def test_a_small_file_does_not_ask_for_much(name: str) -> None:
    with silence():
        judged(bombs()[name])


@pytest.mark.parametrize("seed", seeds(), ids=lambda seed: seed.name)
def test_what_they_are_grown_from_is_sound(seed: Any) -> None:
    assert judged(seed.data).pixels == seed.pixels[0]


# --- what may not come of a file is seen --------------------------------------------------------------------------


def spoilt(monkeypatch: pytest.MonkeyPatch, decode: Any) -> None:
    monkeypatch.setattr(judge, "decode", decode)


def test_a_foreign_error_is_seen(monkeypatch: pytest.MonkeyPatch) -> None:
    spoilt(monkeypatch, lambda data: 1 / 0)
    with pytest.raises(BadOutcome, match="ZeroDivisionError"):
        judged(sound())
    monkeypatch.setattr(judge, "examine", lambda data, limits: [][0])
    with pytest.raises(BadOutcome, match="IndexError"):
        judged(sound())


def test_a_loop_is_seen(monkeypatch: pytest.MonkeyPatch) -> None:
    def loop(data: bytes) -> Image.Image:
        while True:
            len(data)

    spoilt(monkeypatch, loop)
    with pytest.raises(BadOutcome, match="calls"):
        judged(sound())


def test_another_size_is_seen(monkeypatch: pytest.MonkeyPatch) -> None:
    spoilt(monkeypatch, lambda data: Image.new("RGB", (5, 5)))
    with pytest.raises(BadOutcome, match="5, 5"):
        judged(sound())


def test_a_warning_is_seen(monkeypatch: pytest.MonkeyPatch) -> None:
    def warn(data: bytes) -> Image.Image:
        warnings.warn("odd", UserWarning, stacklevel=2)
        return real_decode(data)

    spoilt(monkeypatch, warn)
    with pytest.raises(BadOutcome, match="odd"):
        judged(sound())


@pytest.mark.parametrize("rule", [CUT, BEHIND])
def test_a_picture_that_is_not_whole_is_seen(rule: str, monkeypatch: pytest.MonkeyPatch) -> None:
    spoilt(monkeypatch, lambda data: Image.new("RGB", real_decode(data).size))
    seed = next(seed for seed in seeds() if seed.name == "png alpha")
    with pytest.raises(BadOutcome, match="whole"):
        check(Damaged(0, rule, seed, seed.data))


def test_the_same_number_is_the_same_damage() -> None:
    assert [file.data for file in damaged(60)] == [file.data for file in damaged(60)]
