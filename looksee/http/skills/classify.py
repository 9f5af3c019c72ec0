"""The skill `classify`: which of some labels fits a picture, and how well each of them does.

Of labels one of which fits, the score is the probability of the label's text as the whole answer to one question: the
product of those of its tokens and of the end behind them, as a part of the sum over all labels. With `multiple` each
label is a question of yes or no by itself, and its score is the probability of yes.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Annotated, Any, ClassVar

from pydantic import BaseModel, FailFast, Field

from looksee.core import errors
from looksee.core.images import Picture
from looksee.core.scoring.labels import shares
from looksee.core.scoring.yes_or_no import yes_probability
from looksee.core.tasks import GREEDY, Answer, Grammar, Task
from looksee.core.texts import in_one_line
from looksee.gateway.answering import CacheableJob
from looksee.http.answers.container_schemas import AnswerMetadata
from looksee.http.error_sentences import must_be
from looksee.http.inputs import validation
from looksee.http.inputs.bodies import Boolean
from looksee.http.skills.query import flag
from looksee.http.skills.skill import ContainerApi, Skill, model_field
from looksee.models.registry import prompts
from looksee.settings import Settings

MOST_LABELS, LONGEST_LABEL = 100, 200
_DIGITS = 6
_PLACE = "{label}"
_LABEL: dict[str, Any] = {"type": "string", "minLength": 1, "maxLength": LONGEST_LABEL}

_Label = Annotated[str, Field(min_length=1, max_length=LONGEST_LABEL)]
Labels = Annotated[list[_Label], FailFast(), Field(min_length=2, max_length=MOST_LABELS)]
SomeLabels = Annotated[list[_Label], FailFast(), Field(max_length=MOST_LABELS)]  # or none, where others may have them
LABELS: Any = Field(description=f"2 to {MOST_LABELS} texts, one of which fits", examples=[["red", "blue"]])
QUESTION: Any = Field(
    "",
    description="what the labels answer; else, which of them the picture shows; with `multiple` a question of yes or no"
    " with {label} in it",
)
MULTIPLE: Any = Field(False, description="any number of the labels may fit: each has a score of its own")


class ClassifyForm(BaseModel):
    """The fields beside the file."""

    labels: Labels = LABELS
    question: str = QUESTION
    multiple: Boolean = MULTIPLE
    model: str = model_field(Task.CLASSIFY)


class LabelScore(BaseModel):
    """A label and how well it fits, 0 to 1."""

    label: str
    score: float | None
    logprob: float | None = Field(None, description="of the label as the whole answer, among all texts")


class Classification(AnswerMetadata):
    """The label that fits best, and all of them, the best first."""

    label: str
    score: float | None
    labels: list[LabelScore]


@dataclass(frozen=True, slots=True)
class ClassifiedAnswer(Answer):
    """The answers about all labels in one; `scores` and `logprobs` are in the order of the labels."""

    scores: tuple[float | None, ...] = ()
    logprobs: tuple[float | None, ...] = ()


@dataclass(frozen=True, kw_only=True)
class ClassifySkill(Skill):
    """It has a job for each label (`jobs`), whose answers are `together` one."""

    task: ClassVar[Task] = Task.CLASSIFY
    prompt_param: ClassVar[str] = "question"
    container: ClassVar[ContainerApi | None] = ContainerApi(
        "Which of some labels fits an uploaded picture", ClassifyForm, Classification
    )

    labels: Sequence[str] | None = None
    question: str = ""
    multiple: bool = False

    def check(self, model: str, settings: Settings, *, pictures: int = 1) -> None:
        labels = self.labels or ()
        if not 2 <= len(labels) <= MOST_LABELS:
            wanted = {"type": "array", "items": _LABEL, "minItems": 2, "maxItems": MOST_LABELS}
            raise errors.InvalidValue(must_be("labels", wanted), param="labels")
        for number, label in enumerate(labels):
            place = f"labels.{number}"
            if not label or label != in_one_line(label) or len(label) > LONGEST_LABEL:
                what = f"'{place}' must be one line of up to {LONGEST_LABEL} characters, without space around it."
                raise errors.InvalidValue(what, param=place)
            if label in labels[:number]:
                raise errors.InvalidValue(f"'{place}' is a label that was there before.", param=place)
        validation.check_prompt(self._asked(), settings, param="question")
        validation.check_prompt("\n".join(labels), settings, param="labels")
        if self.multiple and self.question.strip() and _PLACE not in self.question:
            raise errors.InvalidValue(f"With 'multiple' 'question' must have {_PLACE} in it.", param="question")

    def job(self, model: str, pictures: Sequence[Picture], settings: Settings) -> CacheableJob:
        return self.jobs(model, pictures, settings)[0]

    def jobs(self, model: str, pictures: Sequence[Picture], settings: Settings) -> list[CacheableJob]:
        """A job for each label, in their order."""
        if self.multiple:
            asked = self._asked()
            return [flag(model, pictures, asked.replace(_PLACE, label), settings) for label in self.labels or ()]
        how = replace(GREEDY, logprobs=0)
        words = prompts.query(model, self._asked())
        return [
            CacheableJob.about(
                pictures,
                Task.QUERY,
                words,
                max_new_tokens=len(label.encode()) + 2,  # no token is less than a byte; a space, and the end
                sampling=how,
                grammar=Grammar("given", label),
            )
            for label in self.labels or ()
        ]

    def together(self, answers: Sequence[Answer]) -> Answer:
        """One answer of those to the jobs, in their order. Raises RunnerFailed where one does not say its label."""
        logprobs: list[float | None] = [None] * len(answers)
        if self.multiple:
            scores = [yes_probability(answer.tokens) for answer in answers]
        else:
            if any(answer.finish != "stop" or not answer.tokens for answer in answers):
                raise errors.RunnerFailed("The model could not be asked about each label.")
            sums = [sum(token.chosen.logprob for token in answer.tokens) for answer in answers]
            scores, logprobs = list[float | None](shares(sums)), list[float | None](sums)
        return ClassifiedAnswer(
            text=self._best_first(scores)[0][0],
            finish="stop",
            prompt_tokens=sum(answer.prompt_tokens for answer in answers),
            new_tokens=sum(answer.new_tokens for answer in answers),
            scores=tuple(scores),
            logprobs=tuple(logprobs),
        )

    def members(self, answer: Answer, pictures: Sequence[Picture]) -> dict[str, Any]:
        assert isinstance(answer, ClassifiedAnswer)
        logprobs = dict(zip(self.labels or (), answer.logprobs, strict=True))
        shown = []
        for label, score in self._best_first(answer.scores):
            told: dict[str, Any] = {"label": label, "score": _rounded(score)}
            shown.append(told if self.multiple else {**told, "logprob": _rounded(logprobs[label])})
        return {"label": shown[0]["label"], "score": shown[0]["score"], "labels": shown}

    def _asked(self) -> str:
        if self.question.strip():
            return self.question
        return prompts.IS_THERE if self.multiple else prompts.WHICH.format(labels=", ".join(self.labels or ()))

    def _best_first(self, scores: Sequence[float | None]) -> list[tuple[str, float | None]]:
        found = list(zip(self.labels or (), scores, strict=True))
        return sorted(found, key=lambda one: -1.0 if one[1] is None else one[1], reverse=True)


def _rounded(number: float | None) -> float | None:
    return None if number is None else round(number, _DIGITS)
