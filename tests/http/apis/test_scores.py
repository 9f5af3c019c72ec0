"""How sure a model was, in every dialect: confidences and thresholds, log-probabilities, and a flag's yes."""

from __future__ import annotations

import math
from dataclasses import replace
from typing import Any

import pytest

from looksee.core.scoring.tokens import TokenChance, TokenScore
from looksee.core.tasks import GREEDY, Answer, Job, Task
from looksee.http.skills import CaptionSkill, DetectSkill
from looksee.models.registry import REMOTE_MODELS, ModelOffer
from tests.http.app import BOXES, POINTS, Doors, content, error
from tests.http.dialects.test_batch import batch
from tests.http.dialects.test_container import picture
from tests.http.dialects.test_openai import chat, events, image, pieces, text, user
from tests.support.files import plain

DATA = plain(size=(20, 10))
IMAGE = image(DATA)["image_url"]["url"]
SURE = (0.91234567, 0.25)


def token(said: str | bytes, chance: float, **others: float) -> TokenScore:
    chances: dict[str | bytes, float] = {said: chance}
    chances.update(others.items())
    told = tuple(
        TokenChance(name if isinstance(name, bytes) else name.encode(), math.log(value))
        for name, value in chances.items()
    )
    return TokenScore(told[0], told if others else ())


def answered(job: Job) -> Answer:
    told = job.sampling.logprobs
    if job.task is Task.DETECT:
        return Answer("", "stop", 1, 7, boxes=BOXES, confidences=SURE)
    if job.task is Task.POINT:
        return Answer("", "stop", 1, 5, points=POINTS, confidences=SURE)
    if job.task is Task.QUERY and told == 20:
        return Answer("yes", "stop", 1, 2, tokens=(token("yes", 0.75, no=0.15, maybe=0.1),))
    tokens = (token("a", 0.5), token(" dog", 0.125)) if told is not None else ()
    return Answer("a dog", "stop", 1, 3, tokens=tokens)


def doors(**settings: Any) -> Doors:
    return Doors(answered, **settings)


@pytest.fixture
def elsewhere(monkeypatch: pytest.MonkeyPatch) -> str:
    """A model that another service answers for."""
    offer = ModelOffer(name="cloud", tasks=frozenset(Task), lengths=("normal",), reasons=True)
    monkeypatch.setitem(REMOTE_MODELS, "cloud", offer)
    return "cloud"


# -- boxes and points


def confidences(found: list[dict[str, Any]]) -> list[float]:
    return [place["confidence"] for place in found]


@pytest.mark.parametrize("form", ["normalized", "pixel", "coco"])
def test_boxes_have_confidences_however_they_are_written(form: str) -> None:
    found = content(doors().detect(f"format={form}", image=IMAGE, object="cat"))
    assert confidences(found["detections"]) == [0.9123, 0.25]


@pytest.mark.parametrize("form", ["normalized", "pixel"])
def test_points_have_confidences_however_they_are_written(form: str) -> None:
    found = content(doors().point(f"format={form}", image=IMAGE, object="cat"))
    assert confidences(found["coordinates"]["points"]) == [0.9123, 0.25]


def test_a_threshold_leaves_out_what_is_less_sure_in_every_dialect() -> None:
    """And all thresholds share one answer of the cache."""
    here = doors()
    kept = BOXES[0]._asdict() | {"confidence": 0.9123}
    native = content(here.detect(image=IMAGE, object="cat", threshold=0.5))
    assert (native["detections"], native["count"], native["cache"]) == ([{"label": "cat", **kept}], 1, False)
    form = content(here.upload("detect", DATA, object="cat", threshold="0.5"))
    assert (form["detections"], form["cache"]) == (native["detections"], True)
    body = {"image_url": IMAGE, "object": "cat", "settings": {"threshold": 0.5}}
    assert content(here.send("/v1/detect", json=body))["objects"] == [kept]
    (line,) = batch(here, {"task": "detect", "image": IMAGE, "object": "cat", "threshold": 0.5})
    assert (line["objects"], line["cache"]) == ([kept], True)
    assert content(here.detect(image=IMAGE, object="cat"))["count"] == 2
    assert len(here.calls("moondream")) == 1
    points = content(here.point(image=IMAGE, object="cat", threshold=0.5))["coordinates"]
    assert points == {"points": [{**POINTS[0]._asdict(), "confidence": 0.9123}], "count": 1}
    (line,) = batch(here, {"task": "point", "image": IMAGE, "object": "cat", "threshold": 1})
    assert line["points"] == []


def test_what_is_below_the_threshold_is_not_drawn() -> None:
    here = doors()
    whole, part, none = (
        picture(here.detect("annotate=true", image=IMAGE, object="cat", threshold=threshold)).tobytes()
        for threshold in (0.25, 0.3, 1.0)
    )
    assert whole != part != none
    assert none == picture(here.detect("annotate=true", image=IMAGE, object="cat", threshold=0.95)).tobytes()


@pytest.mark.parametrize("threshold", [-0.1, 1.1, math.nan])
def test_a_threshold_out_of_bounds_is_named(threshold: float) -> None:
    here = doors()
    answer = here.detect(image=IMAGE, object="cat", threshold=threshold)
    assert error(answer) == (422, "invalid_value", "threshold")
    assert "from 0 to 1" in content(answer)["detail"]
    assert here.calls("moondream") == []


def test_places_of_which_nothing_is_known_have_none(elsewhere: str) -> None:
    found = content(Doors().detect(image=IMAGE, object="cat"))["detections"]
    assert found == [{"label": "cat", **box._asdict()} for box in BOXES]
    answer = doors().detect(image=IMAGE, object="cat", model=elsewhere, threshold=0.5)
    assert error(answer) == (400, "task_not_supported", "threshold")


# -- texts


def test_a_text_has_its_mean_where_it_is_asked_for() -> None:
    here, mean = doors(), pytest.approx(math.log(0.25), abs=1e-6)
    assert "mean_logprob" not in content(here.caption(image=IMAGE))
    assert content(here.caption(image=IMAGE, scores=True))["mean_logprob"] == mean
    assert content(here.query(image=IMAGE, question="What?", scores=True))["mean_logprob"] == mean
    assert content(here.upload("caption", DATA, scores="true"))["mean_logprob"] == mean
    assert content(here.upload("query", DATA, question="What?", scores="true"))["mean_logprob"] == mean
    body = {"image_url": IMAGE, "question": "What?", "scores": True}
    assert content(here.send("/v1/query", json=body))["mean_logprob"] == mean
    *_, last = [line for line in here.send("/v1/query", json={**body, "stream": True}).text.split("\n\n") if line]
    assert '"mean_logprob":-1.386' in last.replace(" ", "")
    lines = batch(
        here,
        {"image": IMAGE, "scores": True},
        {"task": "collective", "images": [IMAGE], "scores": True},
        {"image": IMAGE, "scores": False},
    )
    assert [line.get("mean_logprob") for line in lines] == [mean, mean, None]


def test_the_scores_of_an_answer_are_its_own_in_the_cache() -> None:
    here = doors()
    for scores, cached in ((False, False), (True, False), (True, True), (False, True)):
        found = content(here.caption(image=IMAGE, scores=scores))
        assert (found["cache"], "mean_logprob" in found) == (cached, scores)
    assert [job.sampling for (job,) in here.calls("moondream")] == [GREEDY, replace(GREEDY, logprobs=0)]


def test_an_empty_text_has_no_mean() -> None:
    here = Doors(lambda _: Answer("", "empty", 1, 1))
    assert content(here.caption(image=IMAGE, scores=True))["mean_logprob"] is None


def test_a_model_elsewhere_tells_none(elsewhere: str) -> None:
    assert error(doors().caption(image=IMAGE, model=elsewhere, scores=True)) == (400, "task_not_supported", "scores")


# -- chats


def test_tokens_come_with_their_log_probabilities() -> None:
    """The bytes of a token that is a part of a character are its own."""
    first = token(b"\xc3", 0.5, cat=0.25)
    here = Doors(lambda job: Answer("\u00e9", "stop", 1, 3, tokens=(first, token(b"\xa9", 1.0))))
    body = {"logprobs": True, "top_logprobs": 2}
    for cached in (False, True):
        found = content(chat(here, "gemma", user("Who?"), **body))
        assert found["cache"] is cached
        log = pytest.approx(math.log(0.5))
        assert found["choices"][0]["logprobs"] == {
            "content": [
                {
                    "token": "\ufffd",
                    "logprob": log,
                    "bytes": [0xC3],
                    "top_logprobs": [
                        {"token": "\ufffd", "logprob": log, "bytes": [0xC3]},
                        {"token": "cat", "logprob": pytest.approx(math.log(0.25)), "bytes": [*b"cat"]},
                    ],
                },
                {"token": "\ufffd", "logprob": 0, "bytes": [0xA9], "top_logprobs": []},
            ],
            "refusal": None,
        }
    assert here.calls("gemma")[0][0].sampling.logprobs == 2


@pytest.mark.parametrize("model", ["blip", "blip2", "gemma", "intern_vlm", "moondream"])
def test_every_model_tells_them(model: str) -> None:
    found = content(chat(doors(), model, user(image()), logprobs=True))
    assert [one["token"] for one in found["choices"][0]["logprobs"]["content"]] == ["a", " dog"]


def test_each_answer_of_several_has_its_own() -> None:
    here = Doors(lambda job: Answer("a", "stop", 1, 3, tokens=(token("a", 1 / (1 + (job.sampling.seed or 0))),)))
    found = content(chat(here, "gemma", user("Who?"), logprobs=True, n=3, temperature=1, seed=1))
    told = [choice["logprobs"]["content"][0]["logprob"] for choice in found["choices"]]
    assert told == [pytest.approx(math.log(1 / part)) for part in (2, 3, 4)]


def test_a_stream_tells_them_behind_its_text() -> None:
    here = doors()
    *told, end = events(chat(here, "gemma", user("Who?"), stream=True, logprobs=True))
    assert end == "[DONE]"
    choices = [one["choices"][0] for one in told]
    assert [choice["delta"] for choice in choices][-2:] == [{"content": ""}, {}]
    assert [choice["logprobs"] is not None for choice in choices][-3:] == [False, True, False]
    assert [one["token"] for one in choices[-2]["logprobs"]["content"]] == ["a", " dog"]
    here.proxies["gemma"].after = pieces("a ", "circle")
    plain_ones = events(chat(here, "gemma", user("What?"), stream=True))[:-1]
    assert all(one["choices"][0]["logprobs"] is None for one in plain_ones)


@pytest.mark.parametrize(
    ("options", "expected"),
    [
        ({"top_logprobs": 3}, (400, "invalid_request", "top_logprobs")),
        ({"top_logprobs": 3, "logprobs": False}, (400, "invalid_request", "top_logprobs")),
        ({"top_logprobs": 21, "logprobs": True}, (400, "invalid_value", "top_logprobs")),
        ({"top_logprobs": -1, "logprobs": True}, (400, "invalid_value", "top_logprobs")),
        ({"top_logprobs": True, "logprobs": True}, (400, "invalid_value", "top_logprobs")),
        ({"logprobs": 3}, (400, "invalid_value", "logprobs")),
    ],
)
def test_wrong_ones_are_named(options: dict[str, Any], expected: tuple[int, str, str]) -> None:
    here = doors()
    assert error(chat(here, "gemma", user("Who?"), **options)) == expected
    assert here.calls("gemma") == []


@pytest.mark.parametrize(
    "options", [{"logprobs": False}, {"logprobs": None, "top_logprobs": 0}, {"top_logprobs": None}]
)
def test_values_that_ask_for_nothing(options: dict[str, Any]) -> None:
    here = doors()
    found = content(chat(here, "gemma", user(text("Who?")), **options))
    assert found["choices"][0]["logprobs"] is None
    assert here.calls("gemma")[0][0].sampling == GREEDY


# -- flags


def test_a_flag_has_its_yes() -> None:
    here = doors()
    found = content(here.captions(("a.png", DATA), model="gemma", flag_caption_prompt="A dog?"))["results"][0]
    assert (found["flagged"], found["flag_confidence"]) == (True, 0.8333)
    together = content(here.collective(("a.png", DATA), model="gemma", flag_caption_prompt="A dog?"))
    assert (together["flagged"], together["flag_confidence"]) == (True, 0.8333)
    assert content(here.captions(("a.png", DATA), model="gemma"))["results"][0]["flag_confidence"] is None


def test_a_flag_that_is_not_understood_has_none() -> None:
    here = Doors(lambda job: Answer("yes or no", "stop", 1, 2, tokens=(token("yes", 0.75, no=0.15),)))
    found = content(here.captions(("a.png", DATA), model="gemma", flag_caption_prompt="A dog?"))["results"][0]
    assert (found["flagged"], found["flag_confidence"]) == (None, None)


def test_skills_say_scores_by_themselves() -> None:
    answer = answered(Job(Task.CAPTION, (), sampling=replace(GREEDY, logprobs=0)))
    assert CaptionSkill().members(answer, []) == {"caption": "a dog"}
    assert DetectSkill(object="cat", threshold=0.95).members(answered(Job(Task.DETECT, ())), []) == {"objects": []}


@pytest.mark.parametrize("value", ["1", "yes"])
def test_a_form_asks_for_them_by_a_boolean(value: str) -> None:
    here, expected = doors(), (422, "invalid_value", "scores")
    assert error(here.upload("caption", DATA, scores=value)) == expected
    assert error(here.upload("query", DATA, question="What?", scores=value)) == expected
    assert here.calls("moondream") == []
