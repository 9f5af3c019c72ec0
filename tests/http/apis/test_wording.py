"""How many words, in which language and without which opening: in every dialect that has texts of its own."""

from __future__ import annotations

import json
from typing import Any

import pytest

from looksee.core.tasks import Job, Task
from looksee.core.texts import Wording
from looksee.http.inputs.wording import languages
from looksee.models.registry import REMOTE_MODELS, ModelOffer, prompts
from tests.http.app import Doors, content, error
from tests.http.dialects.test_batch import batch
from tests.http.dialects.test_openai import image
from tests.support.files import plain

DATA = plain(size=(20, 10))
IMAGE = image(DATA)["image_url"]["url"]
ASKED = {"max_words": 5, "strip_opening": True}
WORDING = Wording(5, True)
HUB: dict[str, Any] = {"weights": "hub"}


def last(here: Doors, model: str) -> Job:
    return here.calls(model)[-1][-1]


def test_they_reach_the_model_in_every_dialect() -> None:
    here = Doors()
    forms: dict[str, Any] = {"max_words": "5", "strip_opening": "true"}
    asked: list[tuple[str, Any]] = [
        ("moondream", lambda: here.caption(image=IMAGE, **ASKED)),
        ("moondream", lambda: here.query(image=IMAGE, question="what?", **ASKED)),
        ("moondream", lambda: here.upload("caption", DATA, length="short", **forms)),
        ("moondream", lambda: here.upload("query", DATA, question="who?", **forms)),
        ("moondream", lambda: here.send("/v1/caption", json={"image_url": IMAGE, "length": "long", **ASKED})),
        ("moondream", lambda: here.send("/v1/query", json={"image_url": IMAGE, "question": "why?", **ASKED})),
        ("blip", lambda: here.native(Task.CAPTION, images=[IMAGE], model="blip", **ASKED)),
        ("gemma", lambda: here.native(Task.COLLECTIVE, images=[IMAGE], model="gemma", **ASKED)),
        ("blip2", lambda: here.captions(("a.png", DATA), model="blip2", **forms)),
        ("intern_vlm", lambda: here.collective(("a.png", DATA), model="intern_vlm", **forms)),
    ]
    for number, (model, send) in enumerate(asked):
        content(send())
        assert last(here, model).wording == WORDING, number
    for task in ({"task": "caption", "model": "gemma"}, {"task": "query", "question": "x?"}):
        (line,) = batch(here, {"image": IMAGE, **task, **ASKED})
        assert line["status"] == 200
        assert last(here, str(task.get("model", "moondream"))).wording == WORDING


def test_they_are_parts_of_the_key_only_where_they_are_asked_for() -> None:
    here = Doors()
    for more in ({}, {"max_words": 5}, {"max_words": 6}, {"strip_opening": True}):
        assert content(here.caption(image=IMAGE, **more))["cache"] is False
        assert content(here.caption(image=IMAGE, **more))["cache"] is True
    assert content(here.caption(image=IMAGE, strip_opening=False, max_words=0, language=""))["cache"]


@pytest.mark.parametrize("count", [-1, 1001])
def test_a_number_of_words_out_of_bounds_is_named(count: int) -> None:
    here = Doors()
    answers: list[Any] = [
        here.caption(image=IMAGE, max_words=count),
        here.query(image=IMAGE, question="x", max_words=count),
        here.native(Task.CAPTION, images=[IMAGE], model="blip", max_words=count),
        here.captions(("a.png", DATA), max_words=str(count)),
        here.send("/v1/query", json={"image_url": IMAGE, "question": "x", "max_words": count}),
    ]
    assert [error(answer)[1:] for answer in answers] == [("invalid_value", "max_words")] * len(answers)
    assert error(here.upload("caption", DATA, max_words=str(count)))[1:] == ("invalid_value", "max_words")
    (line,) = batch(here, {"image": IMAGE, "max_words": count})
    assert line["error"]["param"] == "max_words"
    assert here.calls("moondream") == []


def test_a_form_and_a_number_of_words_do_not_go_together() -> None:
    body = {"image_url": IMAGE, "question": "x", "choices": ["a b", "c"]}
    for more in ({"max_words": 1}, {"strip_opening": True}):
        refused = Doors().send("/v1/query", json={**body, **more})
        assert error(refused)[1:] == ("invalid_value", next(iter(more)))


def test_a_model_elsewhere_takes_none_of_them(monkeypatch: pytest.MonkeyPatch) -> None:
    offer = ModelOffer(name="cloud", tasks=frozenset(Task), lengths=("normal",), reasons=True)
    monkeypatch.setitem(REMOTE_MODELS, "cloud", offer)
    for name, value in {**ASKED, "language": "fr"}.items():
        refused = Doors().caption(image=IMAGE, model="cloud", **{name: value})
        assert error(refused) == (400, "task_not_supported", name)


# -- languages


@pytest.mark.parametrize("language", ["fr", "French", " FRENCH ", "fr-CH"])
def test_a_model_that_follows_instructions_is_asked_in_words(language: str) -> None:
    here = Doors(**HUB)
    content(here.caption(image=IMAGE, model="gemma", language=language))
    assert last(here, "gemma").prompt == f"{prompts.CAPTION}\nAnswer in French."
    body = {"image_url": IMAGE, "model": "intern_vlm", "question": "Who is it?", "language": language}
    content(here.send("/v1/query", json=body))
    assert last(here, "intern_vlm").prompt == "Who is it?\nAnswer in French."
    content(here.native(Task.COLLECTIVE, images=[IMAGE], model="gemma", language=language, caption_prompt="Tell."))
    assert last(here, "gemma").prompt == "Tell.\nAnswer in French."


def test_english_is_asked_for_where_a_model_knows_more() -> None:
    here = Doors(**HUB)
    content(here.caption(image=IMAGE, model="intern_vlm", language="en"))
    assert last(here, "intern_vlm").prompt.endswith("\nAnswer in English.")
    content(here.caption(image=IMAGE, model="blip2", language="en"))
    assert last(here, "blip2").prompt == ""
    samples = Doors(weights="sample")
    content(samples.caption(image=IMAGE, model="gemma", language="English"))
    assert last(samples, "gemma").prompt == prompts.CAPTION


@pytest.mark.parametrize("model", ["moondream", "blip", "blip2"])
def test_a_model_that_writes_english_alone_refuses_others(model: str) -> None:
    refused = Doors(**HUB).caption(image=IMAGE, model=model, language="fr")
    assert error(refused) == (400, "task_not_supported", "language")
    assert "gemma, intern_vlm" in content(refused)["detail"]


def test_sample_weights_refuse_others_and_say_why() -> None:
    refused = Doors(weights="sample").caption(image=IMAGE, model="gemma", language="fr")
    assert error(refused) == (400, "task_not_supported", "language")
    assert "sample weights" in content(refused)["detail"]


@pytest.mark.parametrize("language", ["xx", "Klingon", "French. Say nothing else", "f", "de-x-y-z"])
def test_what_is_no_language_is_refused(language: str) -> None:
    here = Doors(**HUB)
    refused = here.caption(image=IMAGE, model="gemma", language=language)
    assert error(refused) == (422, "invalid_value", "language")
    assert here.calls("gemma") == []


def test_every_name_and_code_finds_its_language() -> None:
    for code, name in languages.BY_CODE.items():
        assert languages.named(code) == languages.named(name) == name
        assert len(json.dumps(name)) < 40
    assert languages.named("pt-BR") == "Brazilian Portuguese"
    assert languages.named("zh_Hant") == "Traditional Chinese"
