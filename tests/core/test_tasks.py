"""What crosses the boundary between gateway and runner comes out as it went in, by pickle and by JSON."""

from __future__ import annotations

import json
import pickle
from typing import Any

import pytest
from pydantic import TypeAdapter

from looksee.core import errors
from looksee.core.geometry import Box, Point
from looksee.core.tasks import (
    Answer,
    Ask,
    Call,
    Event,
    Failure,
    Grammar,
    Grounding,
    Identity,
    Job,
    Reasoning,
    Reply,
    Sampling,
    Status,
    Task,
    Timing,
    Turn,
)

EVERY_BYTE = bytes(range(256))
JPEG_START = b"\xff\xd8\xff\xe0\x00\x10JFIF\x00\xfb\xef\xbe"  # no UTF-8; its base64 has characters of both alphabets

IDENTITY = Identity("blip", "local", "0123456789ab", "0123456789abcdef")
RECORDS: list[Any] = [
    Call(
        "c0ffee",
        [
            Ask(Job(Task.CAPTION, (EVERY_BYTE,), "a photo of", 20), 12.5, "id-1"),
            Ask(Job(Task.CAPTION, (JPEG_START, b"")), 0.0, followed=True),
            Ask(
                Job(
                    Task.CAPTION, (EVERY_BYTE,), length="long", stop=("a", "\u4e2d"), sampling=Sampling(0.5, 0.9, 40, 7)
                ),
                1.0,
            ),
            Ask(Job(Task.QUERY, (), "why?", reasoning=True), 1.0),
            Ask(Job(Task.QUERY, (), "why?", grammar=Grammar("choices", '["\u00e9", "null"]')), 1.0),
            Ask(
                Job(
                    Task.QUERY,
                    (EVERY_BYTE, JPEG_START),
                    turns=(Turn("system", ("\u00e9",)), Turn("user", (None, "null", None)), Turn("assistant", ())),
                ),
                1.0,
            ),
            Ask(
                Job(Task.POINT, (JPEG_START,), "it", spatial_refs=((0.1, 1 / 3), (0.0, 0.2, 1.0, 0.9)), max_objects=1),
                1.0,
            ),
        ],
    ),
    Call("", []),
    Event(0, "a red \u00e9"),
    Event(
        1,
        reply=Reply(Answer("a red \u00e9\u4e2d\U0001f600 'circle'", "stop", 3, 7), None, Timing(0.1, 0.2, 0.3, 4.5)),
        identity=IDENTITY,
    ),
    Event(2, reply=Reply(Answer("", "length", 0, 0)), identity=Identity("blip", "hub", "main", None)),
    Event(2, reply=Reply(Answer("", "length", 4, 6, (Box(0.0, 0.1, 1 / 3, 1.0), Box(0.5, 0.5, 0.6, 0.7))))),
    Event(2, reply=Reply(Answer("", "stop", 4, 6, points=(Point(0.1, 0.2 + 0.1),)))),
    Event(
        2,
        reply=Reply(Answer("b", "stop", 4, 6, reasoning=Reasoning("so", (Grounding(0, 2, (Point(0.5, 1.0),)),)))),
    ),
    Event(3, reply=Reply(failure=Failure("overloaded", "busy", "images", 5))),
    Event(4, reply=Reply(failure=Failure.of(errors.CorruptImage("damaged")))),
    Status(IDENTITY, "ready", "cuda:0"),
    Status(Identity("blip", "sample", "missing", None), "failed", "cpu"),
]


@pytest.mark.parametrize("record", RECORDS)
@pytest.mark.parametrize("protocol", [2, pickle.HIGHEST_PROTOCOL])
def test_by_pickle(record: Any, protocol: int) -> None:
    again = pickle.loads(pickle.dumps(record, protocol))
    assert again == record
    assert type(again) is type(record)


@pytest.mark.parametrize("record", RECORDS)
def test_by_pydantic_in_python(record: Any) -> None:
    adapter = TypeAdapter[Any](type(record))
    dumped = adapter.dump_python(record)
    assert isinstance(dumped, dict)
    assert adapter.validate_python(dumped) == record
    assert adapter.validate_python(record) == record


@pytest.mark.parametrize("record", RECORDS)
def test_by_pydantic_in_json(record: Any) -> None:
    adapter = TypeAdapter[Any](type(record))
    text = adapter.dump_json(record)
    assert adapter.validate_json(text) == record
    plain = adapter.dump_python(record, mode="json")
    assert json.loads(text) == plain
    assert adapter.validate_json(json.dumps(plain)) == record


def test_types_survive_json() -> None:
    adapter = TypeAdapter(Call)
    again = adapter.validate_json(adapter.dump_json(RECORDS[0]))
    assert type(again.asks[0].job) is Job
    assert type(again.asks[0].job.task) is Task
    assert type(again.asks[0].job.images) is tuple
    assert type(again.asks[4].job.grammar) is Grammar
    assert again.asks[0].job.images == (EVERY_BYTE,)
    assert [type(turn) for turn in again.asks[5].job.turns] == [Turn] * 3
    assert again.asks[5].job.turns[1].parts == (None, "null", None)


def test_places_survive_json_as_such() -> None:
    adapter = TypeAdapter(Event)
    events = [adapter.validate_json(adapter.dump_json(record)) for record in RECORDS if isinstance(record, Event)]
    outcomes = [event.reply.answer for event in events if event.reply is not None]
    _, _, detected, pointed, thought = [outcome for outcome in outcomes if outcome]
    assert type(detected.boxes[0]) is Box
    assert detected.boxes[0].x_max == 1 / 3
    assert type(pointed.points[0]) is Point
    assert thought.reasoning is not None
    assert type(thought.reasoning.grounding[0].points[0]) is Point


@pytest.mark.parametrize("record", RECORDS)
def test_records_cannot_be_changed(record: Any) -> None:
    with pytest.raises((AttributeError, TypeError)):
        record.identity = None


def test_a_task_is_its_name() -> None:
    assert f"{Task.CAPTION}" == "caption"
    assert Task("caption") is Task.CAPTION


def test_an_answer_has_its_own_timing() -> None:
    assert Reply().timing == Timing(0.0, 0.0, 0.0, 0.0)
