"""Forced answers of the running service, with the sample weights: JSON of a schema, one of some texts, yes or no."""

from __future__ import annotations

import asyncio
import json
import random
import re
from collections.abc import Iterator
from typing import Any, Literal

import openai
import pytest
from openai import AsyncOpenAI, OpenAI
from pydantic import BaseModel

from samples.world import scenes
from tests.service.clients.test_openai import ANSWERING, user
from tests.support.serving import Service

RNG = random.Random("forced")
SCENE = scenes.compose(RNG, sides=(160, 320))
PICTURE = scenes.encode(scenes.draw(SCENE, RNG), RNG)
OBJECT = {"type": "json_object"}


class ShownThing(BaseModel):
    colour: Literal["red", "green", "blue"]
    shape: Literal["circle", "square", "triangle"]


class ShownThings(BaseModel):
    kind: Literal["picture"]
    first: ShownThing
    others: bool


class ShapeShown(BaseModel):
    color: str
    shape: str


class CaptionAndShapes(BaseModel):
    caption: str
    count: int
    objects: list[ShapeShown]


@pytest.fixture(scope="module")
def service(everything: Service) -> Service:
    return everything


@pytest.fixture(scope="module")
def client(service: Service) -> Iterator[OpenAI]:
    with OpenAI(base_url=f"{service.url}/v1", api_key="none", max_retries=0, timeout=90) as client:
        yield client


@pytest.mark.parametrize("model", ["gemma", "intern_vlm", "moondream"])
def test_parse_succeeds(client: OpenAI, model: str) -> None:
    asked = [user(PICTURE, "What is there?")]
    completion = client.chat.completions.parse(model=model, messages=asked, response_format=ShownThings, max_tokens=120)
    (choice,) = completion.choices
    assert isinstance(choice.message.parsed, ShownThings)
    assert choice.finish_reason == "stop"


def test_what_gemma_says_of_a_scene_is_right(client: OpenAI) -> None:
    asked = [user(PICTURE, "Describe the picture.")]
    completion = client.chat.completions.parse(
        model="gemma", messages=asked, response_format=CaptionAndShapes, max_tokens=120
    )
    things = [ShapeShown(color=one.colour, shape=one.shape) for one in SCENE.things]
    expected = CaptionAndShapes(caption=SCENE.caption(), count=len(SCENE.things), objects=things)
    assert completion.choices[0].message.parsed == expected


@pytest.mark.parametrize("model", ANSWERING)
def test_choices_and_expressions(client: OpenAI, model: str) -> None:
    def said(**form: object) -> str:
        asked = [user(PICTURE, "What is it?")]
        answer = client.chat.completions.create(model=model, messages=asked, extra_body=form)
        return answer.choices[0].message.content or ""

    assert said(choices=["a lighthouse", "two ships"]) in ("a lighthouse", "two ships")
    assert said(regex="no [0-9]{2}").removeprefix("no ").isdigit()


def test_what_is_cut_says_so(client: OpenAI) -> None:
    asked = [user("Who?")]
    with pytest.raises(openai.LengthFinishReasonError):
        client.chat.completions.parse(model="gemma", messages=asked, response_format=ShownThings, max_tokens=5)


def test_forms_beside_each_other(service: Service) -> None:
    forms: list[dict[str, object]] = [
        {"choices": ["yes", "no"]},
        {"regex": "[a-z]{5}[0-9]{5}"},
        {"response_format": OBJECT, "temperature": 1.0, "seed": 3, "max_tokens": 40},
        {},
    ]
    asked = [
        {**form, "model": "gemma", "messages": [user(f"What is {number}?")]} for number, form in enumerate(forms * 3)
    ]

    async def together() -> list[str]:
        async with AsyncOpenAI(base_url=f"{service.url}/v1", api_key="none", timeout=90) as many:
            made = (many.post("/chat/completions", cast_to=object, body=one) for one in asked)
            answers: list[Any] = await asyncio.gather(*made)
        return [one["choices"][0]["message"]["content"] for one in answers]

    found = asyncio.run(together())
    assert set(found[::4]) <= {"yes", "no"}
    assert all(re.fullmatch("[a-z]{5}[0-9]{5}", text) for text in found[1::4])
    assert all(text.startswith("{") for text in found[2::4])


@pytest.mark.parametrize("model", ANSWERING)
def test_flags_are_yes_or_no(service: Service, model: str) -> None:
    """Whatever the question: what the sample weights would say to these is neither."""
    for question in ("What colour is it?", "Name all of the shapes."):
        files = [("images", ("a.png", PICTURE))]
        params = {"model": model, "flag_caption_prompt": question}
        answer = service.client.post("/api/caption-images", params=params, files=files, timeout=90)
        (result,) = json.loads(answer.content)["results"]
        assert result["flagged"] in (True, False)
        assert result["flag_evaluated"] is True
