"""What may be shown of an unfinished text, and where a stop string cuts it.

Texts decoded as their ids come are those of all ids at once, for every tokenizer, and few ids are decoded for it.
"""

from __future__ import annotations

import functools
import random
from collections.abc import Callable, Sequence
from typing import Any

import pytest
from transformers import AutoTokenizer

from looksee.models.moondream.config import Config
from looksee.models.moondream.tokenizer import MoondreamTokenizer
from looksee.models.registry import REGISTRY
from looksee.models.texts.detokenize import Detokenizer, GrowingText, stable_prefix, truncate_at_stop
from looksee.models.texts.row_text import RowText
from looksee.models.transformers.decoder import for_tokenizer
from looksee.models.weights.source import SAMPLES

LENGTH = 300
TEXT = "Caf\u00e9 \u2014 na\u00efve \U0001f600\U0001f469\u200d\U0001f52c \u4e2d\u6587, don't!  Two  spaces\n\n\ttab ###"


class CountedTokenizer:
    """A tokenizer of a model, what it decodes all ids to, and how many ids were decoded."""

    def __init__(self, name: str) -> None:
        self.decoded = 0
        if name == "moondream":
            config = Config.load(SAMPLES / name)
            own = MoondreamTokenizer(SAMPLES / name / "tokenizer.json", config.tokenizer)
            self.whole: Callable[[list[int]], str] = own.decode
            self.encode: Callable[[str], list[int]] = own.encode
            self.detokenizer: Detokenizer = own.detokenizer
        else:
            tokenizer: Any = AutoTokenizer.from_pretrained(SAMPLES / name)
            self.whole = functools.partial(tokenizer.decode, skip_special_tokens=True)
            self.encode = functools.partial(tokenizer.encode, add_special_tokens=False)
            self.detokenizer = for_tokenizer(tokenizer)
        decode = self.detokenizer.decode
        self.detokenizer.decode = lambda ids: self._counting(decode, ids)

    def _counting(self, decode: Callable[[list[int]], str], ids: list[int]) -> str:
        self.decoded += len(ids)
        return decode(ids)

    def ids(self, kind: str, rng: random.Random) -> list[int]:
        """Ids of a kind, among them those that are left out and those that nothing is known of."""
        every = range(700)
        own = self.detokenizer
        if kind == "text":
            return self.encode("".join(rng.choices(TEXT, k=LENGTH)))
        if kind == "parts":  # that continue a word or a character, or are bytes
            parts = [number for number in every if not own.opens(number) and not own.is_silent(number)]
            whole = [number for number in every if own.opens(number)]
            return rng.choices(parts or whole, k=LENGTH // 2) + rng.choices(whole, k=10)
        if kind == "mixed":
            parts = [number for number in every if not own.opens(number)] * 4
            return rng.choices([*every, *parts], k=LENGTH)
        return rng.choices(every, k=LENGTH)


@functools.cache
def counted(name: str) -> CountedTokenizer:
    return CountedTokenizer(name)


@pytest.mark.parametrize("kind", ["text", "any", "mixed", "parts"])
@pytest.mark.parametrize("name", REGISTRY)
def test_a_growing_text_is_that_of_all_its_ids(name: str, kind: str) -> None:
    model = counted(name)
    for seed in range(4):
        ids = model.ids(kind, random.Random(seed))
        growing, shown = GrowingText(model.detokenizer), ""
        for count in range(1, len(ids) + 1):
            growing.take(ids[:count])
            if kind != "parts":  # of which many in a row are decoded now and then
                assert growing.text == model.whole(ids[:count])
            now = stable_prefix(growing.stable, ())
            assert now.startswith(shown)
            shown = now
        assert growing.text == model.whole(ids)
        assert model.whole(ids).startswith(shown)


@pytest.mark.parametrize("name", REGISTRY)
def test_ids_may_come_in_any_portions(name: str) -> None:
    model, rng = counted(name), random.Random(7)
    ids = model.ids("mixed", rng)
    growing, count = GrowingText(model.detokenizer), 0
    while count < len(ids):
        count = min(len(ids), count + rng.randint(0, 20))
        growing.take(ids[:count])
        assert growing.text == model.whole(ids[:count])


@pytest.mark.parametrize("name", REGISTRY)
def test_a_text_that_continues_a_prompt_lacks_it(name: str) -> None:
    model = counted(name)
    for seed in range(10):
        ids = model.ids("any", random.Random(seed))
        before, rest = ids[:seed], ids[seed:50]
        growing = GrowingText(model.detokenizer, before)
        growing.take(rest)
        assert growing.text == model.whole(ids[:50])[len(model.whole(before)) :]


@pytest.mark.parametrize("stop", [(), ("never", "\n\n#")])
@pytest.mark.parametrize("kind", ["text", "parts"])
@pytest.mark.parametrize("name", REGISTRY)
def test_the_ids_that_are_decoded_are_in_proportion_to_those_of_the_text(
    name: str, kind: str, stop: Sequence[str]
) -> None:
    model = counted(name)
    ids = model.ids(kind, random.Random(1))
    ids = (ids * (4000 // len(ids) + 1))[:4000]
    row = RowText(model.detokenizer, stop)

    def decoded(first: int, last: int) -> int:
        before = model.decoded
        for count in range(first, last):
            row.partial(ids[:count])
            if row.end(ids[:count]) == "stop":
                pytest.fail("no stop string is there")
        return model.decoded - before

    early, late = decoded(1, 1001), decoded(3001, 4001)
    assert late < (15 if kind == "text" else 60) * 1000 * (1 + bool(stop))
    assert late < 3 * early + 1000


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
