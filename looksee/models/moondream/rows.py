"""Rows, each a small state machine without tensors: what a step's output of a row means depends on its skill.

A row's `items` are what it was fed after its prompt, and the last of them is what it is fed next. They and the prompt
are its whole state, so a row can be prefilled again at any time and continues where it was.
"""

from __future__ import annotations

import enum
import math
from dataclasses import dataclass, field
from typing import ClassVar

from looksee.core.geometry import Box, Point
from looksee.models.core.model import DecodedRow
from looksee.models.moondream.config import TokenizerConfig
from looksee.models.moondream.crops.image import CroppedImage
from looksee.models.moondream.sequence_items import CoordinateItem, SequenceItem, SizeItem
from looksee.models.texts.row_text import RowText


class Head(enum.Flag):
    """A network head that reads a row's hidden state."""

    TOKEN = enum.auto()
    COORDINATE = enum.auto()
    SIZE = enum.auto()


@dataclass(slots=True)
class StepOutput:
    """The heads' results for one row after a step; those of heads that the row does not need keep their defaults.

    Probabilities, for boxes and points: `goes_on`, of anything but the end; `coordinate_chance` and `size_chance`, that
    these lie about where they are told.
    """

    token: int = -1
    coordinate: float = 0.0
    size: tuple[float, float] = (0.0, 0.0)
    goes_on: float = 1.0
    coordinate_chance: float = 1.0
    size_chance: float = 1.0


@dataclass(slots=True, kw_only=True)
class MoondreamRow(DecodedRow):
    """`start` is the position of the prompt's first item: behind the image's prefix, or 0."""

    special_ids: TokenizerConfig
    image: CroppedImage | None
    start: int
    prompt: list[SequenceItem]
    items: list[SequenceItem] = field(default_factory=list)

    @property
    def nbytes(self) -> int:
        return self.image.nbytes if self.image is not None else 0

    @property
    def history(self) -> list[SequenceItem]:
        """All items after the image's prefix; the last one is fed next."""
        return self.prompt + self.items

    @property
    def position(self) -> int:
        """The position of the item that is fed next."""
        return self.start + len(self.prompt) + len(self.items) - 1

    @property
    def latest(self) -> SequenceItem:
        """The item that is fed next."""
        return (self.items or self.prompt)[-1]

    @property
    def heads(self) -> Head:
        """The heads that the row needs after the next step."""
        return Head.TOKEN

    def banned_ids(self, pending: int = 0) -> tuple[int, ...]:
        """Ids that may not be sampled after the next step, where `pending` tokens are not among `tokens` yet."""
        return ()

    @property
    def answer(self) -> list[int]:
        """The ids of the answer's text so far."""
        return []

    @property
    def boxes(self) -> list[Box]:
        """Boxes found so far, normalised to the image, not clamped to it."""
        return []

    @property
    def points(self) -> list[Point]:
        """Points found so far, normalised to the image."""
        return []

    @property
    def confidences(self) -> list[float]:
        """Of the boxes or points, in their order, 0 to 1."""
        return []

    def advance(self, output: StepOutput) -> None:
        """Append one token and its item, or set `finish`."""
        raise NotImplementedError


@dataclass(slots=True, kw_only=True)
class TextRow(MoondreamRow):
    """A caption or an answer. `answer_start` is the index of its first token, None until there is one; `told` is what
    its tokens say, None until it is first needed.
    """

    answer_start: int | None = 0
    told: RowText | None = None

    def banned_ids(self, pending: int = 0) -> tuple[int, ...]:
        """The first id of an answer may be the answer id, but no later one."""
        return (self.special_ids.answer_id,) if self.answer or pending else ()

    @property
    def forced(self) -> list[int] | None:
        return None if self.matcher is None or self.answer_start is None else self.answer

    @property
    def remaining(self) -> int:
        return self.max_new_tokens - len(self.answer)

    @property
    def answer(self) -> list[int]:
        return [] if self.answer_start is None else self.tokens[self.answer_start :]

    def advance(self, output: StepOutput) -> None:
        self.tokens.append(output.token)
        self.items.append(output.token)
        if output.token == self.special_ids.eos_id:
            self.finish = "stop"
        elif len(self.answer) >= self.max_new_tokens:
            self.finish = "length"


@dataclass(slots=True, kw_only=True)
class ReasoningRow(TextRow):
    """Thoughts, which may contain coordinates, then the answer id, then an answer.

    `free_positions` is the number of positions behind the prompt, `max_thoughts` the largest number of thoughts' items.
    """

    answer_start: int | None = None
    free_positions: int
    max_thoughts: int

    @property
    def slots(self) -> int:
        """Those of the thoughts, the answer id and the answer; the row's `max_new_tokens` bounds the answer alone."""
        return self.prompt_tokens + min(self.free_positions, self.max_thoughts + 1 + self.max_new_tokens)

    @property
    def heads(self) -> Head:
        return Head.TOKEN | Head.COORDINATE if self.answer_start is None else Head.TOKEN

    def banned_ids(self, pending: int = 0) -> tuple[int, ...]:
        if self.answer_start is not None:
            return super(ReasoningRow, self).banned_ids(pending)
        return (self.special_ids.eos_id, self.special_ids.size_id) if self.tokens else ()

    @property
    def thoughts(self) -> list[SequenceItem]:
        """The items of the thoughts so far."""
        return self.items if self.answer_start is None else self.items[: self.answer_start - 1]

    def advance(self, output: StepOutput) -> None:
        if self.answer_start is not None:
            super(ReasoningRow, self).advance(output)
        elif output.token == self.special_ids.answer_id or len(self.tokens) >= self.max_thoughts:
            self.tokens.append(self.special_ids.answer_id)
            self.items.append(self.special_ids.answer_id)
            self.answer_start = len(self.tokens)
            self.max_new_tokens = min(self.max_new_tokens, self.free_positions - self.answer_start)
        else:
            is_coordinate = output.token == self.special_ids.coord_id
            self.tokens.append(output.token)
            self.items.append(CoordinateItem(output.coordinate) if is_coordinate else output.token)


@dataclass(slots=True, kw_only=True)
class PointRow(MoondreamRow):
    """Points on objects: x, y, repeated until the end.

    Before each x the model may end by the end id; any other token continues. The row also ends where another whole
    object would exceed `max_new_tokens`.
    """

    items_per_object: ClassVar[int] = 2

    chances: list[float] = field(default_factory=list)  # of each item, that it is right

    @property
    def heads(self) -> Head:
        return (Head.TOKEN | Head.COORDINATE, Head.COORDINATE, Head.SIZE)[len(self.items) % self.items_per_object]

    @property
    def points(self) -> list[Point]:
        return [Point(x, y) for x, y in self._objects()]

    @property
    def confidences(self) -> list[float]:
        size = self.items_per_object
        return [math.prod(self.chances[first : first + size]) for first in range(0, len(self.items) - size + 1, size)]

    def advance(self, output: StepOutput) -> None:
        heads, special_ids = self.heads, self.special_ids
        if Head.TOKEN in heads and output.token == special_ids.eos_id:
            self.tokens.append(special_ids.eos_id)
            self.finish = "stop"
            return
        if Head.SIZE in heads:
            self.tokens.append(special_ids.size_id)
            self.items.append(SizeItem(*output.size))
            self.chances.append(output.size_chance)
        else:
            self.tokens.append(special_ids.coord_id)
            self.items.append(CoordinateItem(output.coordinate))
            self.chances.append(output.coordinate_chance * (output.goes_on if Head.TOKEN in heads else 1.0))
        whole = len(self.items) % self.items_per_object == 0
        if whole and len(self.items) + self.items_per_object > self.max_new_tokens:
            self.finish = "length"

    def _objects(self) -> list[list[float]]:
        """The numbers of each complete object: x, y and for a box its width and height."""
        objects: list[list[float]] = []
        complete = len(self.items) // self.items_per_object * self.items_per_object
        for index, item in enumerate(self.items[:complete]):
            if index % self.items_per_object == 0:
                objects.append([])
            match item:
                case CoordinateItem(value):
                    objects[-1].append(value)
                case SizeItem(width, height):
                    objects[-1] += [width, height]
        return objects


@dataclass(slots=True, kw_only=True)
class DetectRow(PointRow):
    """Boxes around objects: x and y of the centre, then width and height, repeated until the end."""

    items_per_object: ClassVar[int] = 3

    @property
    def boxes(self) -> list[Box]:
        return [Box(x - w / 2, y - h / 2, x + w / 2, y + h / 2) for x, y, w, h in self._objects()]

    @property
    def points(self) -> list[Point]:
        return []
