"""From a job to a row: tokenize its text, cut its image, and check that all of it fits the context."""

from __future__ import annotations

from collections.abc import Container, Sequence
from dataclasses import dataclass
from typing import Any, TypeVar

from looksee.core import errors
from looksee.core.tasks import GREEDY, Job, Sampling, Task
from looksee.models.core.context import MIN_ANSWER_TOKENS, room
from looksee.models.moondream import prompts
from looksee.models.moondream.config import Config, Template
from looksee.models.moondream.crops.image import CroppedImage, SharedCrops
from looksee.models.moondream.prompts import Reference
from looksee.models.moondream.rows import DetectRow, MoondreamRow, PointRow, ReasoningRow, TextRow
from looksee.models.moondream.sequence_items import SequenceItem
from looksee.models.moondream.tokenizer import MoondreamTokenizer
from looksee.models.sampling import seed_of

MAX_OBJECTS = 50

RowT = TypeVar("RowT", bound=MoondreamRow)
PointRowT = TypeVar("PointRowT", bound=PointRow)


@dataclass(frozen=True, slots=True)
class TextOptions:
    """How a text is generated: its largest number of tokens, how they are sampled, and what ends it."""

    max_new_tokens: int = 768
    sampling: Sampling = GREEDY
    stop: tuple[str, ...] = ()


class RowBuilder:
    """Makes rows, from any thread. Images are files (the bytes of a picture in any accepted format).

    The images whose digests are in `prefixes` are not cut into crops; others are, once while rows wait with them. All
    methods raise PromptTooLong where the prompt leaves next to no room for an answer; less room than was asked for only
    shortens the answer. Those with an image raise CorruptImage.
    """

    def __init__(self, config: Config, tokenizer: MoondreamTokenizer, prefixes: Container[bytes]) -> None:
        self._config, self._tokenizer, self._prefixes = config, tokenizer, prefixes
        self._shared = SharedCrops()

    def row(self, job: Job) -> MoondreamRow:
        """A job's row. A caption with a prompt is asked like a question. Raises TaskNotSupported and InvalidRequest."""
        if job.task is Task.COLLECTIVE or len(job.images) > 1:
            raise errors.TaskNotSupported("The model 'moondream' answers about one picture at a time.", param="model")
        options = TextOptions(job.max_new_tokens, job.sampling, job.stop)
        if not job.images:
            if job.task is not Task.QUERY:
                raise errors.InvalidRequest(f"To {job.task} a picture is needed.", param="image")
            return self._query(None, job, options)
        (image,) = job.images
        if job.task is Task.DETECT:
            return self.detect(image, job.prompt, max_objects=job.max_objects)
        if job.task is Task.POINT:
            return self.point(image, job.prompt, spatial_refs=job.spatial_refs, max_objects=job.max_objects)
        if job.task is Task.CAPTION and not job.prompt:
            return self.caption(image, job.length, options)
        return self._query(image, job, options)

    def _query(self, image: bytes | None, job: Job, options: TextOptions) -> TextRow:
        return self.query(image, job.prompt, options, spatial_refs=job.spatial_refs, reasoning=job.reasoning)

    def caption(self, image: bytes, length: str = "normal", options: TextOptions = TextOptions()) -> TextRow:
        """A caption of a `length` that the templates have: short, normal or long. Raises InvalidValue."""
        return self._text_row(TextRow, image, prompts.caption(self._config.tokenizer, length), options)

    def query(
        self,
        image: bytes | None,
        question: str,
        options: TextOptions = TextOptions(),
        *,
        spatial_refs: Sequence[Reference] = (),
        reasoning: bool = False,
    ) -> TextRow:
        """An answer to a question, with or without an image. Raises InvalidValue.

        With `reasoning` it is a `ReasoningRow`, and `max_new_tokens` bounds the thoughts and the answer, each.
        """
        ids = self._tokenizer.encode(question)
        prompt = prompts.query(
            self._config.tokenizer, ids, references=spatial_refs, reasoning=reasoning, image=image is not None
        )
        if not reasoning:
            return self._text_row(TextRow, image, prompt, options)
        free = self._free_positions(image, prompt, options.max_new_tokens)
        before_answer = free - 1 - min(options.max_new_tokens, MIN_ANSWER_TOKENS)  # 1 for the answer id
        max_thoughts = max(0, min(options.max_new_tokens, before_answer))
        return self._text_row(ReasoningRow, image, prompt, options, free_positions=free, max_thoughts=max_thoughts)

    def detect(self, image: bytes, name: str, *, max_objects: int = MAX_OBJECTS) -> DetectRow:
        """A box around each object of that name."""
        return self._region_row(DetectRow, self._config.tokenizer.templates.detect, image, name, (), max_objects)

    def point(
        self, image: bytes, name: str, *, spatial_refs: Sequence[Reference] = (), max_objects: int = MAX_OBJECTS
    ) -> PointRow:
        """A point on each object of that name. Raises InvalidValue."""
        template = self._config.tokenizer.templates.point
        return self._region_row(PointRow, template, image, name, spatial_refs, max_objects)

    def _text_row(
        self, cls: type[RowT], image: bytes | None, prompt: list[SequenceItem], options: TextOptions, **fields: Any
    ) -> RowT:
        return self._row(
            cls,
            image,
            prompt,
            options.max_new_tokens,
            sampling=options.sampling,
            seed=seed_of(options.sampling),
            stop=options.stop,
            **fields,
        )

    def _region_row(
        self,
        cls: type[PointRowT],
        template: Template,
        image: bytes,
        name: str,
        references: Sequence[Reference],
        max_objects: int,
    ) -> PointRowT:
        prompt = prompts.region(template, self._tokenizer.encode(f" {name}"), references=references)
        return self._row(cls, image, prompt, max_objects * cls.items_per_object)

    def _row(
        self, cls: type[RowT], image: bytes | None, prompt: list[SequenceItem], wanted: int, **fields: Any
    ) -> RowT:
        start = self._start(image)
        return cls(
            cost=start,
            max_new_tokens=min(wanted, self._free_positions(image, prompt, wanted)),
            prompt_tokens=start + len(prompt),
            special_ids=self._config.tokenizer,
            image=None if image is None else self._cropped(image),
            start=start,
            prompt=prompt,
            **fields,
        )

    def _cropped(self, data: bytes) -> CroppedImage:
        image = CroppedImage(data, self._shared)
        # It has a hold of the crops already: a row that puts its prefix there just now drops its own after that.
        if image.digest in self._prefixes:
            image.drop_crops()
        else:
            image.crops(self._config.vision)
        return image

    def _start(self, image: bytes | None) -> int:
        """The position of the prompt's first item."""
        return 0 if image is None else self._config.text.prefix_attn

    def _free_positions(self, image: bytes | None, prompt: list[SequenceItem], wanted: int) -> int:
        """Positions behind the prompt. Raises PromptTooLong when they are fewer than `wanted` and fewer than 16."""
        return room(self._start(image) + len(prompt), self._config.text.max_context, wanted)
