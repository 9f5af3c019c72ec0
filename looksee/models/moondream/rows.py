"""Rows and what each does with a step's reading: a small state machine for each skill, without a tensor.

A row's `pieces` are what it was fed after its prompt, and its last one is what it is fed next. They and the prompt are
all of its state, so a row can be prefilled again at any time and goes on where it was.
"""

from __future__ import annotations

import enum
from dataclasses import dataclass, field
from typing import ClassVar

from looksee.core.geometry import Box, Point
from looksee.models.interface import Row
from looksee.models.moondream.config import TokenizerConfig
from looksee.models.moondream.crops.picture import CroppedPicture
from looksee.models.moondream.sequence_items import CoordinateItem, Piece, SizeItem


class Head(enum.Flag):
    """What is read from a row's hidden state."""

    TOKEN = enum.auto()
    COORDINATE = enum.auto()
    SIZE = enum.auto()


@dataclass(slots=True)
class Reading:
    """What a step says about one row; only what the row's heads ask for is there."""

    token: int = -1
    coordinate: float = 0.0
    size: tuple[float, float] = (0.0, 0.0)


@dataclass(slots=True, kw_only=True)
class MoondreamRow(Row):
    """`start` is the position of the prompt's first piece: behind the picture, or 0."""

    names: TokenizerConfig
    picture: CroppedPicture | None
    start: int
    prompt: list[Piece]
    pieces: list[Piece] = field(default_factory=list)

    @property
    def history(self) -> list[Piece]:
        """All that was fed after the picture and, as its last, what is fed next."""
        return self.prompt + self.pieces

    @property
    def position(self) -> int:
        """Where the next step's piece stands."""
        return self.start + len(self.prompt) + len(self.pieces) - 1

    @property
    def latest(self) -> Piece:
        """What the next step feeds."""
        return (self.pieces or self.prompt)[-1]

    @property
    def heads(self) -> Head:
        return Head.TOKEN

    @property
    def banned(self) -> tuple[int, ...]:
        """Ids that may not be chosen now."""
        return ()

    @property
    def answer(self) -> list[int]:
        """The ids of the answer's text so far."""
        return []

    @property
    def boxes(self) -> list[Box]:
        """Boxes found, normalised to the picture, not clamped to it."""
        return []

    @property
    def points(self) -> list[Point]:
        """Points found, normalised to the picture."""
        return []

    def take(self, reading: Reading) -> None:
        """Go on by one token."""
        raise NotImplementedError


@dataclass(slots=True, kw_only=True)
class TextRow(MoondreamRow):
    """A caption or an answer. `begun` counts the tokens before it; None while it has not begun."""

    begun: int | None = 0

    @property
    def banned(self) -> tuple[int, ...]:
        """An answer may begin with the answer id, but not hold it."""
        return (self.names.answer_id,) if self.answer else ()

    @property
    def answer(self) -> list[int]:
        return [] if self.begun is None else self.tokens[self.begun :]

    def take(self, reading: Reading) -> None:
        self.tokens.append(reading.token)
        self.pieces.append(reading.token)
        if reading.token == self.names.eos_id:
            self.finish = "stop"
        elif len(self.answer) >= self.max_new_tokens:
            self.finish = "length"


@dataclass(slots=True, kw_only=True)
class ReasoningRow(TextRow):
    """Thoughts, in which places may be named, then the answer id, then an answer.

    `room` is how many tokens fit behind the prompt. At most `max_thoughts` of them are thoughts.
    """

    begun: int | None = None
    room: int
    max_thoughts: int

    @property
    def heads(self) -> Head:
        return Head.TOKEN | Head.COORDINATE if self.begun is None else Head.TOKEN

    @property
    def banned(self) -> tuple[int, ...]:
        if self.begun is not None:
            return super(ReasoningRow, self).banned
        return (self.names.eos_id, self.names.size_id) if self.tokens else ()

    @property
    def thoughts(self) -> list[Piece]:
        """What was thought so far."""
        return self.pieces if self.begun is None else self.pieces[: self.begun - 1]

    def take(self, reading: Reading) -> None:
        if self.begun is not None:
            super(ReasoningRow, self).take(reading)
        elif reading.token == self.names.answer_id or len(self.tokens) >= self.max_thoughts:
            self.tokens.append(self.names.answer_id)
            self.pieces.append(self.names.answer_id)
            self.begun = len(self.tokens)
            self.max_new_tokens = min(self.max_new_tokens, self.room - self.begun)
        else:
            named = reading.token == self.names.coord_id
            self.tokens.append(reading.token)
            self.pieces.append(CoordinateItem(reading.coordinate) if named else reading.token)


@dataclass(slots=True, kw_only=True)
class PointRow(MoondreamRow):
    """Things pointed at: x, y, and again until the end. Before each x the model may end; any other token goes on.

    The row also ends where another whole thing would be over `max_new_tokens`.
    """

    period: ClassVar[int] = 2  # pieces of a thing

    @property
    def heads(self) -> Head:
        return (Head.TOKEN | Head.COORDINATE, Head.COORDINATE, Head.SIZE)[len(self.pieces) % self.period]

    @property
    def points(self) -> list[Point]:
        return [Point(x, y) for x, y in self._found()]

    def take(self, reading: Reading) -> None:
        heads, names = self.heads, self.names
        if Head.TOKEN in heads and reading.token == names.eos_id:
            self.tokens.append(names.eos_id)
            self.finish = "stop"
            return
        if Head.SIZE in heads:
            self.tokens.append(names.size_id)
            self.pieces.append(SizeItem(*reading.size))
        else:
            self.tokens.append(names.coord_id)
            self.pieces.append(CoordinateItem(reading.coordinate))
        if len(self.pieces) % self.period == 0 and len(self.pieces) + self.period > self.max_new_tokens:
            self.finish = "length"

    def _found(self) -> list[list[float]]:
        """The numbers of each thing found whole: x, y and for a box its width and height."""
        things: list[list[float]] = []
        for index, piece in enumerate(self.pieces[: len(self.pieces) // self.period * self.period]):
            if index % self.period == 0:
                things.append([])
            match piece:
                case CoordinateItem(value):
                    things[-1].append(value)
                case SizeItem(width, height):
                    things[-1] += [width, height]
        return things


@dataclass(slots=True, kw_only=True)
class DetectRow(PointRow):
    """Things boxed: x and y of the centre, width and height, and again until the end."""

    period: ClassVar[int] = 3

    @property
    def boxes(self) -> list[Box]:
        return [Box(x - w / 2, y - h / 2, x + w / 2, y + h / 2) for x, y, w, h in self._found()]

    @property
    def points(self) -> list[Point]:
        return []
