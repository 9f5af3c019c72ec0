"""From a question to a row: encode the words, cut the picture, and see that all of it fits the context."""

from __future__ import annotations

from collections.abc import Container, Sequence
from dataclasses import dataclass
from typing import Any, TypeVar

from looksee.core import errors
from looksee.core.tasks import GREEDY, Job, Sampling, Task
from looksee.models.moondream import prompts
from looksee.models.moondream.config import Config, Template
from looksee.models.moondream.crops.picture import CroppedPicture
from looksee.models.moondream.prompts import Reference
from looksee.models.moondream.rows import DetectRow, MoondreamRow, PointRow, ReasoningRow, TextRow
from looksee.models.moondream.sequence_items import Piece
from looksee.models.moondream.tokenizer import MoondreamTokenizer
from looksee.models.sampling import seed_of

MAX_OBJECTS = 50
LEAST_ROOM = 16  # tokens an answer must have room for beside its prompt

RowT = TypeVar("RowT", bound=MoondreamRow)
PointRowT = TypeVar("PointRowT", bound=PointRow)


@dataclass(frozen=True, slots=True)
class TextOptions:
    """How a text is to be written: its length in tokens, how they are chosen, and what ends it."""

    max_new_tokens: int = 768
    sampling: Sampling = GREEDY
    stop: tuple[str, ...] = ()


class RowBuilder:
    """Makes rows; any thread may. Pictures are files (JPEG, PNG, WebP bytes); `prefixes` has those that need no crops.

    All raise PromptTooLong where the prompt leaves next to no room for an answer; less room than was asked for only
    shortens the answer. Those with a picture raise CorruptImage.
    """

    def __init__(self, config: Config, tokenizer: MoondreamTokenizer, prefixes: Container[bytes]) -> None:
        self._config, self._tokenizer, self._prefixes = config, tokenizer, prefixes

    def row(self, job: Job) -> MoondreamRow:
        """A job's row. A caption with a prompt of its own is asked like a question.

        Raises TaskNotSupported and InvalidRequest.
        """
        if job.task is Task.COLLECTIVE or len(job.images) > 1:
            raise errors.TaskNotSupported("The model 'moondream' answers about one picture at a time.", param="model")
        style = TextOptions(job.max_new_tokens, job.sampling, job.stop)
        if not job.images:
            if job.task is not Task.QUERY:
                raise errors.InvalidRequest(f"To {job.task} a picture is needed.", param="image")
            return self._asked(None, job, style)
        (image,) = job.images
        if job.task is Task.DETECT:
            return self.detect(image, job.prompt, max_objects=job.max_objects)
        if job.task is Task.POINT:
            return self.point(image, job.prompt, spatial_refs=job.spatial_refs, max_objects=job.max_objects)
        if job.task is Task.CAPTION and not job.prompt:
            return self.caption(image, job.length, style)
        return self._asked(image, job, style)

    def _asked(self, image: bytes | None, job: Job, style: TextOptions) -> TextRow:
        return self.query(image, job.prompt, style, spatial_refs=job.spatial_refs, reasoning=job.reasoning)

    def caption(self, image: bytes, length: str = "normal", style: TextOptions = TextOptions()) -> TextRow:
        """A caption of a `length` that the templates have: short, normal or long. Raises InvalidValue."""
        return self._text(TextRow, image, prompts.caption(self._config.tokenizer, length), style)

    def query(
        self,
        image: bytes | None,
        question: str,
        style: TextOptions = TextOptions(),
        *,
        spatial_refs: Sequence[Reference] = (),
        reasoning: bool = False,
    ) -> TextRow:
        """An answer, about a picture or about nothing but the question. Raises InvalidValue.

        With `reasoning` the row is a `ReasoningRow`, and the style's length bounds the thoughts and the answer, each.
        """
        ids = self._tokenizer.encode(question)
        prompt = prompts.query(
            self._config.tokenizer, ids, references=spatial_refs, reasoning=reasoning, picture=image is not None
        )
        if not reasoning:
            return self._text(TextRow, image, prompt, style)
        room = self._room(image, prompt, style.max_new_tokens)
        most = room - 1 - min(style.max_new_tokens, LEAST_ROOM)  # beside the answer and the id before it
        return self._text(
            ReasoningRow, image, prompt, style, room=room, max_thoughts=max(0, min(style.max_new_tokens, most))
        )

    def detect(self, image: bytes, thing: str, *, max_objects: int = MAX_OBJECTS) -> DetectRow:
        """A box around each `thing`."""
        return self._region(DetectRow, self._config.tokenizer.templates.detect, image, thing, (), max_objects)

    def point(
        self, image: bytes, thing: str, *, spatial_refs: Sequence[Reference] = (), max_objects: int = MAX_OBJECTS
    ) -> PointRow:
        """A point on each `thing`. Raises InvalidValue."""
        template = self._config.tokenizer.templates.point
        return self._region(PointRow, template, image, thing, spatial_refs, max_objects)

    def _text(
        self, kind: type[RowT], image: bytes | None, prompt: list[Piece], style: TextOptions, **more: Any
    ) -> RowT:
        return self._row(
            kind,
            image,
            prompt,
            style.max_new_tokens,
            sampling=style.sampling,
            seed=seed_of(style.sampling),
            stop=style.stop,
            **more,
        )

    def _region(
        self,
        kind: type[PointRowT],
        template: Template,
        image: bytes,
        thing: str,
        references: Sequence[Reference],
        max_objects: int,
    ) -> PointRowT:
        prompt = prompts.region(template, self._tokenizer.encode(f" {thing}"), references=references)
        return self._row(kind, image, prompt, max_objects * kind.period)

    def _row(self, kind: type[RowT], image: bytes | None, prompt: list[Piece], wanted: int, **more: Any) -> RowT:
        return kind(
            cost=self._start(image),
            max_new_tokens=min(wanted, self._room(image, prompt, wanted)),
            prompt_tokens=self._start(image) + len(prompt),
            names=self._config.tokenizer,
            picture=None if image is None else self._picture(image),
            start=self._start(image),
            prompt=prompt,
            **more,
        )

    def _picture(self, image: bytes) -> CroppedPicture:
        picture = CroppedPicture(image)
        if picture.digest not in self._prefixes:
            picture.crops(self._config.vision)
        return picture

    def _start(self, image: bytes | None) -> int:
        return 0 if image is None else self._config.text.prefix_attn

    def _room(self, image: bytes | None, prompt: list[Piece], wanted: int) -> int:
        """Positions behind the prompt. Raises PromptTooLong when they are next to none."""
        context = self._config.text.max_context
        room = context - self._start(image) - len(prompt)
        if room < min(wanted, LEAST_ROOM):
            raise errors.PromptTooLong(
                f"The prompt has {len(prompt)} tokens; prompt and answer must fit {context - self._start(image)}.",
                param="prompt",
            )
        return room
