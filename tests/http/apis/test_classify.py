"""Labels and their scores, in every dialect that has the skill."""

from __future__ import annotations

import math
from typing import Any

import pytest

from looksee.core import errors
from looksee.core.scoring.labels import shares
from looksee.core.scoring.tokens import TokenChance, TokenScore
from looksee.core.tasks import Answer, Grammar, Job
from looksee.http.apis.one_answer import AT_ONCE
from looksee.models.registry import prompts
from tests.http.apis.test_scores import token
from tests.http.app import Doors, content, error
from tests.http.dialects.test_batch import batch
from tests.http.dialects.test_openai import image
from tests.support.files import plain

DATA = plain(size=(20, 10))
IMAGE = image(DATA)["image_url"]["url"]
CHANCES = {"red": (0.5, 0.8), "blue": (0.2, 0.5), "a red one": (0.5, 0.1)}
LABELS = ["blue", "red", "a red one"]
WHOLE = {label: math.log(math.prod(chances)) for label, chances in CHANCES.items()}
SCORES = {"red": 0.4 / 0.55, "blue": 0.1 / 0.55, "a red one": 0.05 / 0.55}


def answered(job: Job) -> Answer:
    if job.grammar is not None and job.grammar.kind == "given":
        chances = CHANCES.get(job.grammar.text, (0.001,))
        told = tuple(TokenScore(TokenChance(b"x", math.log(chance))) for chance in chances)
        return Answer(job.grammar.text, "stop", 5, len(told), tokens=told)
    sure = 0.9 if "cat" in job.prompt else 0.2
    return Answer("yes" if sure > 0.5 else "no", "stop", 5, 2, tokens=(token("yes", sure, no=1 - sure),))


def doors(**settings: Any) -> Doors:
    return Doors(answered, **settings)


def checked(found: dict[str, Any]) -> dict[str, Any]:
    assert [one["label"] for one in found["labels"]] == ["red", "blue", "a red one"]
    assert sum(one["score"] for one in found["labels"]) == pytest.approx(1, abs=1e-5)
    for one in found["labels"]:
        assert one["score"] == pytest.approx(SCORES[one["label"]], abs=1e-5)
        assert one["logprob"] == pytest.approx(WHOLE[one["label"]], abs=1e-5)
    assert (found["label"], found["score"]) == ("red", found["labels"][0]["score"])
    assert found["finish_reason"] == "stop"
    return found


def test_every_dialect_has_the_same_scores_from_the_same_cache() -> None:
    here = doors()
    body: dict[str, Any] = {"labels": LABELS, "question": "What color?"}
    native = checked(content(here.classify(image=IMAGE, **body)))
    assert (native["status"], native["cache"], native["model"]) == ("success", False, "moondream")
    form = checked(content(here.upload("classify", DATA, **body)))
    assert (form["status"], form["cache"]) == ("success", True)
    assert checked(content(here.send("/v1/classify", json={"image_url": IMAGE, **body})))["cache"] is True
    (line,) = batch(here, {"task": "classify", "image": IMAGE, **body})
    assert checked(line)["cache"] is True
    (jobs,) = here.calls("moondream")
    assert [job.grammar for job in jobs] == [Grammar("given", label) for label in LABELS]
    assert {job.prompt for job in jobs} == {prompts.query("moondream", "What color?")}
    assert all(job.max_new_tokens >= len(job.grammar.text) + 2 for job in jobs if job.grammar)


def test_further_labels_are_all_that_is_asked() -> None:
    here = doors()
    content(here.classify(image=IMAGE, labels=LABELS[:2], question="What color?"))
    assert content(here.classify(image=IMAGE, labels=LABELS, question="What color?"))["cache"] is False
    assert [len(jobs) for jobs in here.calls("moondream")] == [2, 1]


def test_without_a_question_the_labels_are_told() -> None:
    here = doors()
    content(here.classify(image=IMAGE, labels=LABELS, model="gemma"))
    assert here.calls("gemma")[0][0].prompt == "Which of these does the picture show: blue, red, a red one?"


def test_several_may_fit() -> None:
    here = doors()
    body = {"labels": ["a dog", "a cat"], "multiple": True}
    found = content(here.classify(image=IMAGE, **body))
    assert found["labels"] == [{"label": "a cat", "score": 0.9}, {"label": "a dog", "score": 0.2}]
    assert (found["label"], found["score"]) == ("a cat", 0.9)
    (jobs,) = here.calls("moondream")
    assert jobs[0].prompt == prompts.flag("moondream", "Is there a dog in the picture?")
    own = {**body, "question": "Do you see {label}?"}
    (line,) = batch(here, {"task": "classify", "image": IMAGE, **own})
    assert line["label"] == "a cat"
    assert here.calls("moondream")[-1][0].prompt == prompts.flag("moondream", "Do you see a dog?")
    assert error(here.classify(image=IMAGE, **{**body, "question": "Who?"})) == (422, "invalid_value", "question")


def test_a_hundred_labels_do_not_fill_a_queue() -> None:
    here = doors()
    found = content(here.classify(image=IMAGE, labels=[f"label {number}" for number in range(99)] + ["red"]))
    assert (found["label"], len(found["labels"])) == ("red", 100)
    assert max(len(jobs) for jobs in here.calls("moondream")) == AT_ONCE


@pytest.mark.parametrize(
    ("labels", "place"),
    [
        ([], "labels"),
        (["one"], "labels"),
        ([f"label {number}" for number in range(101)], "labels"),
        (["a", ""], "labels.1"),
        (["a", " b"], "labels.1"),
        (["a", "b\nc"], "labels.1"),
        (["a", "b" * 201], "labels.1"),
        (["a", "b", "a"], "labels.2"),
    ],
)
def test_what_is_wrong_with_labels_is_named(labels: list[str], place: str) -> None:
    here = doors()
    assert error(here.classify(image=IMAGE, labels=labels)) == (422, "invalid_value", place)
    (line,) = batch(here, {"task": "classify", "image": IMAGE, "labels": labels})
    assert (line["error"]["code"], line["error"]["param"].split(".")[0]) == ("invalid_value", "labels")
    assert here.calls("moondream") == []


def test_a_model_that_answers_no_questions_is_refused() -> None:
    refused = doors().classify(image=IMAGE, labels=LABELS, model="blip")
    assert error(refused) == (400, "task_not_supported", "model")
    assert "gemma" in content(refused)["detail"]


def test_a_label_that_fails_fails_the_whole() -> None:
    def fails(job: Job) -> Any:
        if job.grammar == Grammar("given", "red"):
            return errors.InvalidValue("no", param="labels")
        return answered(job)

    assert error(Doors(fails).classify(image=IMAGE, labels=LABELS)) == (422, "invalid_value", "labels")
    cut = Doors(lambda job: Answer("x", "length", 1, 1))
    assert error(cut.classify(image=IMAGE, labels=LABELS))[:2] == (502, "runner_failed")


def test_shares_of_what_is_next_to_impossible_sum_to_one() -> None:
    assert shares([-20_000.0, -20_000.0]) == [0.5, 0.5]
    assert shares([0.0, -20_000.0]) == [1.0, 0.0]
