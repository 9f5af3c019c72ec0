"""How rows end by what they say, in all models: alone, in a batch, and as it is told to who listens."""

from __future__ import annotations

import random
from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import Tensor

from looksee.core.tasks import Finish, Job, Task
from looksee.models import sampling
from looksee.models.loading import load
from looksee.models.moondream import model as moondream
from looksee.models.registry import prompts
from looksee.models.texts.repetition import LOOP_TOKENS
from looksee.models.texts.row_text import RowText
from looksee.models.weights.source import SAMPLES
from tests.models.mixing import decode_mixed
from tests.support import pictures

MOST = 300


@pytest.fixture
def script(model: Any, monkeypatch: pytest.MonkeyPatch) -> Callable[..., Any]:
    """A row that says given ids again and again; `before` are said first."""
    lines: dict[int, tuple[list[int], list[int]]] = {}
    data = pictures.scene("endings")[0]
    prompt = "" if model.name == "moondream" else prompts.caption(model.name)

    def choose(logits: Tensor, rows: list[Any], pending: list[int]) -> Tensor:
        return torch.tensor([next_of(*lines[row.seed], len(row.tokens)) for row in rows])

    def next_of(before: list[int], again: list[int], count: int) -> int:
        return before[count] if count < len(before) else again[(count - len(before)) % len(again)]

    def row(before: list[int], again: list[int], stop: tuple[str, ...] = (), most: int = MOST) -> Any:
        made = model.prepare(Job(Task.CAPTION, (data,), prompt, most, stop=stop))
        # BLIP's sample has fewer positions than a loop is long: what is stored there is not looked at.
        made.max_new_tokens, made.seed = most, len(lines)
        lines[made.seed] = before, again
        return made

    monkeypatch.setattr(sampling, "choose", choose)
    monkeypatch.setattr(model, "step", lambda batch: setattr(batch, "hidden", torch.zeros(len(batch.rows), 1)))
    decoder = model.net.text if model.name == "moondream" else model.decoder
    monkeypatch.setattr(decoder, "logits", lambda hidden: torch.zeros(len(hidden), 700))
    return row


def words(model: Any, count: int, first: int = 0) -> list[int]:
    """Ids of different words, which nothing ends at."""
    texts = {number: said(model, [number]).strip() for number in range(20, 600)}
    found = [number for number, text in texts.items() if text.isascii() and text.isalpha() and len(text) > 1]
    assert len(found) >= first + count
    return found[first : first + count]


def rambling(model: Any, count: int) -> list[int]:
    """Ids of words without an order."""
    return random.Random(count).choices(words(model, 25), k=count)


def said(model: Any, ids: list[int]) -> str:
    whole = model.detokenizer if model.name != "moondream" else model.tokenizer.detokenizer
    text: str = whole.decode(ids)
    return text


def run(model: Any, *rows: Any, seed: int = 0) -> None:
    decode_mixed(model, rows, random.Random(seed))


def test_a_row_that_only_repeats_itself_ends_and_is_told_as_a_loop(model: Any, script: Callable[..., Any]) -> None:
    before, again = words(model, 5), words(model, 3, 5)
    row = script(before, again)
    run(model, row)
    answer = model.answer(row)
    assert (answer.finish, answer.new_tokens) == ("loop", len(before) + LOOP_TOKENS)
    assert answer.text == said(model, before + again * 2).strip()


def test_what_is_forced_may_repeat_itself(model: Any, script: Callable[..., Any]) -> None:
    """A list of zeros is JSON, and a text that its limit cuts is told whole."""
    again = words(model, 2)
    free, forced = script([], again, most=80), script([], again, most=80)
    forced.matcher = NeverOver()
    run(model, free, forced)
    assert model.answer(free).finish == "loop"
    assert model.answer(forced).finish == "length"
    assert model.answer(forced).text == said(model, again * 40).strip()
    if model.name != "moondream":  # which tells whole words alone
        assert model.partial(forced).startswith(said(model, again * 30).strip())


class NeverOver:
    """A matcher of a row whose tokens are scripted."""

    def is_over(self, tokens: list[int]) -> bool:
        return False


def test_loops_end_in_a_batch_as_they_do_alone(model: Any, script: Callable[..., Any]) -> None:
    made = [(rambling(model, 6 * number), words(model, 1 + number % 4, number)) for number in range(10)]
    made += [(words(model, 15) * 8, words(model, 3, 20))]
    alone = [script(*one) for one in made]
    for row in alone:
        run(model, row)
    together = [script(*one) for one in made]
    run(model, *together, seed=3)
    assert [model.answer(row) for row in together] == [model.answer(row) for row in alone]


def test_the_pieces_of_a_loop_are_its_text(model: Any, script: Callable[..., Any]) -> None:
    """Also of what repeats itself for a while and goes on."""
    for before, again in (
        (words(model, 7), words(model, 4, 9)),
        ([*words(model, 2) * 5, *words(model, 9, 15)], words(model, 1)),
    ):
        row, told = script(before, again), ""
        batch = model.prefill([row])
        while row.finish is None:
            model.step(batch)
            model.sample(batch)
            now = model.partial(row)
            assert now.startswith(told)
            told = now
        answer = model.answer(row)
        assert answer.finish == "loop"
        assert answer.text.startswith(told)
        assert len(told) > len(said(model, before)) / 2


def test_a_text_that_its_limit_cuts_in_a_loop_is_one(model: Any, script: Callable[..., Any]) -> None:
    before, again = words(model, 5), words(model, 2, 5)
    loop, cut = script(before, again, most=60), script(rambling(model, 60), again, most=60)
    run(model, loop, cut)
    assert model.answer(loop).finish == "loop"
    assert model.answer(loop).text == said(model, before + again * 2).strip()
    assert model.answer(cut).finish == "length"
    assert model.answer(cut).text == said(model, rambling(model, 60)).strip()


def test_the_tokens_that_a_text_is_made_of(model: Any) -> None:
    """Of one that a stop string ends, also within a token or at once, of a loop, and of any other."""
    detokenizer = model.detokenizer if model.name != "moondream" else model.tokenizer.detokenizer
    ids = words(model, 8)
    texts = [said(model, [number]).strip() for number in ids]

    def shown(ids: list[int], finish: Finish, *stop: str) -> int:
        text = RowText(detokenizer, stop)
        text.end(ids)
        count = text.shown(ids, finish).stop
        assert said(model, ids[:count]).strip().startswith(text.whole(ids, finish)[0])
        return count

    assert shown(ids, "stop", texts[5]) == 5
    assert shown(ids, "stop", texts[0]) == 0
    assert shown(ids, "stop", texts[3][1:] + said(model, ids[3:5])[len(said(model, ids[3:4])) :]) == 4
    assert shown(ids, "stop", "no such words") == shown(ids, "length") == 8
    assert shown(ids + ids[:2] * LOOP_TOKENS, "loop") == 8 + 4


def test_an_answer_without_text_is_told_as_empty(model: Any, script: Callable[..., Any]) -> None:
    end = next(iter(model.eos_ids)) if model.name != "moondream" else model.config.tokenizer.eos_id
    word = words(model, 1)
    at_once, stopped = script([end], [end]), script(word, [end], stop=(said(model, word).strip(),))
    run(model, at_once, stopped)
    for row in (at_once, stopped):
        assert (model.answer(row).text, model.answer(row).finish) == ("", "empty")


def test_a_stop_string_ends_a_loop_first(model: Any, script: Callable[..., Any]) -> None:
    before, again = words(model, 5), words(model, 1, 5)
    stop = said(model, again * 5).strip()  # longer than what is shown of the repetition
    row = script(before, again, stop=(stop,))
    run(model, row)
    assert model.answer(row).finish == "stop"
    assert len(row.tokens) <= 10


def test_places_that_repeat_themselves_are_no_loop(monkeypatch: pytest.MonkeyPatch) -> None:
    model: Any = load("moondream", SAMPLES / "moondream", device="cpu", dtype="float32")
    monkeypatch.setattr(
        sampling, "choose", lambda logits, rows, pending: torch.tensor([10] * len(rows))
    )  # never the end
    monkeypatch.setattr(moondream, "likeliest_bins", lambda logits, near: [(7, 1.0)] * len(logits))
    data = pictures.scene("no text")[0]
    rows = [model.prepare(Job(task, (data,), "shape", max_objects=100)) for task in (Task.DETECT, Task.POINT)]
    run(model, *rows)
    answers = [model.answer(row) for row in rows]
    assert [(answer.finish, len(answer.boxes), len(answer.points)) for answer in answers] == [
        ("length", 100, 0),
        ("length", 0, 100),
    ]


def test_nothing_found_is_an_answer(monkeypatch: pytest.MonkeyPatch) -> None:
    model: Any = load("moondream", SAMPLES / "moondream", device="cpu", dtype="float32")
    end = model.config.tokenizer.eos_id
    monkeypatch.setattr(sampling, "choose", lambda logits, rows, pending: torch.tensor([end] * len(rows)))
    row = model.prepare(Job(Task.DETECT, (pictures.scene("no text")[0],), "shape"))
    run(model, row)
    assert (model.answer(row).finish, model.answer(row).boxes) == ("stop", ())
