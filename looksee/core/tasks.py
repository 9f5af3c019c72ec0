"""What is asked of a model and what comes back. These records cross the gateway/runner boundary as they are.

`__pydantic_config__` tells a JSON transport (a runner on another host) to carry bytes as base64; the local pickle
transport carries them raw. No pydantic is needed here.
"""

from __future__ import annotations

import enum
from dataclasses import dataclass, field
from typing import Any, Literal

from looksee.core import errors
from looksee.core.geometry import Box, Point

_BYTES_AS_BASE64: Any = {"ser_json_bytes": "base64", "val_json_bytes": "base64"}

Finish = Literal["stop", "length"]
Length = Literal["short", "normal", "long"]
Role = Literal["system", "user", "assistant"]
State = Literal["unloaded", "waiting", "loading", "ready", "failed"]


class Task(enum.StrEnum):
    CAPTION = "caption"
    COLLECTIVE = "collective"
    QUERY = "query"
    DETECT = "detect"
    POINT = "point"


@dataclass(frozen=True, slots=True)
class Sampling:
    """How a row's next token is chosen. Greedily at `temperature` 0, whatever the rest says.

    `top_p` is in (0, 1], `top_k` counts tokens and 0 means all. With a `seed` the answer can be had again; it does not
    depend on who shares the batch.
    """

    temperature: float = 0.0
    top_p: float = 1.0
    top_k: int = 0
    seed: int | None = None

    @property
    def repeatable(self) -> bool:
        """Whether the same question gets the same answer again."""
        return self.temperature == 0 or self.seed is not None


GREEDY = Sampling()


@dataclass(frozen=True, slots=True)
class Turn:
    """What one side says in a chat: texts, and None where the next one of the job's pictures stands."""

    role: Role
    parts: tuple[str | None, ...]


@dataclass(frozen=True, slots=True)
class Job:
    """One question to one model.

    `images` are encoded files (JPEG, PNG, WebP bytes). `prompt` is in the words for the model asked
    (`looksee.models.registry.prompts`): what it continues or is told, or what is to be found in the picture. The answer
    ends before the first of the `stop` strings.

    What follows them only some models know: a caption's `length` where there is no prompt, places that a question is
    about (`spatial_refs`, as (x, y) or (x_min, y_min, x_max, y_max), normalised), thoughts before an answer
    (`reasoning`), how many things are found at most, and a chat of `turns`, which is asked instead of a `prompt`; the
    last one is the user's.
    """

    __pydantic_config__ = _BYTES_AS_BASE64

    task: Task
    images: tuple[bytes, ...]
    prompt: str = ""
    max_new_tokens: int = 50
    sampling: Sampling = GREEDY
    stop: tuple[str, ...] = ()
    length: Length = "normal"
    spatial_refs: tuple[tuple[float, ...], ...] = ()
    reasoning: bool = False
    max_objects: int = 50
    turns: tuple[Turn, ...] = ()


@dataclass(frozen=True, slots=True)
class Timing:
    """Where an answer's time went. Seconds; `rows` is the mean number of rows that shared its steps."""

    prepare: float = 0.0
    queue: float = 0.0
    compute: float = 0.0
    rows: float = 0.0


@dataclass(frozen=True, slots=True)
class Grounding:
    """The characters `start` to `end` of a text are about these points."""

    start: int
    end: int
    points: tuple[Point, ...]


@dataclass(frozen=True, slots=True)
class Reasoning:
    """What was thought before an answer, and the places in it."""

    text: str
    grounding: tuple[Grounding, ...] = ()


@dataclass(frozen=True, slots=True)
class Answer:
    """A model's whole answer: a text, or the boxes or points of what it was to find.

    `finish` is `length` when `max_new_tokens` or `max_objects` cut it. `prompt_tokens` counts all that the decoder was
    given: words, marks of turns, and the tokens of pictures, also where it reads these beside its text (BLIP).
    """

    text: str
    finish: Finish
    prompt_tokens: int
    new_tokens: int
    boxes: tuple[Box, ...] = ()
    points: tuple[Point, ...] = ()
    reasoning: Reasoning | None = None


@dataclass(frozen=True, slots=True)
class Failure:
    """An error as data: which one (`code`) and what to tell the caller."""

    code: str
    message: str
    param: str | None = None
    retry_after: int | None = None

    @classmethod
    def of(cls, error: errors.LookseeError) -> Failure:
        return cls(error.code, error.message, error.param, error.retry_after)

    def error(self) -> errors.LookseeError:
        """The error again; an unknown code (a newer runner's) is a plain runner failure."""
        kind = errors.BY_CODE.get(self.code, errors.RunnerFailed)
        return kind(self.message, param=self.param, retry_after=self.retry_after)


@dataclass(frozen=True, slots=True)
class Reply:
    """A job's outcome or its failure: exactly one of the two."""

    answer: Answer | None = None
    failure: Failure | None = None
    timing: Timing = field(default_factory=Timing)


@dataclass(frozen=True, slots=True)
class Identity:
    """Which weights answer, `cloud` for others than ours. `fingerprint` changes whenever an answer could; None while it
    is not known, as it never is for others.
    """

    model: str
    weights: Literal["sample", "hub", "local", "cloud"]
    revision: str
    fingerprint: str | None


@dataclass(frozen=True, slots=True)
class Status:
    """A runner's state, for health, for the cache and for those who operate it.

    `waiting` is for a place among the models that may be loaded at a time. Memory is in bytes: of the whole process,
    and what is allocated on a GPU; None where that cannot be told. `last_use` is in seconds since 1970. `in_flight`
    calls are being answered, `queued` ones wait for the weights; `failure` says why these could not be loaded.
    """

    identity: Identity
    state: State
    device: str
    memory_bytes: int | None = None
    device_bytes: int | None = None
    last_use: float | None = None
    in_flight: int = 0
    queued: int = 0
    failure: Failure | None = None


@dataclass(frozen=True, slots=True)
class Ask:
    """A job that a runner has `timeout` seconds for. Of one that is `followed` the text is told as it comes."""

    job: Job
    timeout: float
    request_id: str = ""
    followed: bool = False


@dataclass(frozen=True, slots=True)
class Call:
    """Jobs that travel to a runner together, of one request or of several. Each is answered as soon as it ends."""

    id: str
    asks: list[Ask]


@dataclass(frozen=True, slots=True)
class Event:
    """What is told of the ask with the number `ask`: a further piece of its text, or its answer and whose that is."""

    ask: int
    text: str = ""
    reply: Reply | None = None
    identity: Identity | None = None
