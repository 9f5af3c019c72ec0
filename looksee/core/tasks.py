"""Jobs, answers, and the messages that carry them. These records cross the boundary between gateway and runners as they
are.

`__pydantic_config__` tells a JSON transport (a runner on another host) to carry bytes as base64; the local pickle
transport carries them raw. No pydantic is needed here.
"""

from __future__ import annotations

import enum
from dataclasses import dataclass, field, replace
from typing import Any, Literal

from looksee.core import errors
from looksee.core.geometry import Box, Point
from looksee.core.scoring.tokens import TokenScore
from looksee.core.texts import AS_WRITTEN, Wording

_BYTES_AS_BASE64: Any = {"ser_json_bytes": "base64", "val_json_bytes": "base64"}

Finish = Literal["stop", "length", "empty", "loop"]
Length = Literal["short", "normal", "long"]
Role = Literal["system", "user", "assistant"]
State = Literal["unloaded", "waiting", "loading", "ready", "failed"]


class Task(enum.StrEnum):
    CAPTION = "caption"
    COLLECTIVE = "collective"
    QUERY = "query"
    DETECT = "detect"
    POINT = "point"
    CLASSIFY = "classify"


@dataclass(frozen=True, slots=True)
class Sampling:
    """How a row's next token is chosen; it does not depend on the other rows of the batch.

    The logits of tokens are changed first. By penalties, those that the answer has already: `repetition_penalty`
    divides positive logits and multiplies negative ones, `presence_penalty` is subtracted once and `frequency_penalty`
    as often as the token was chosen. By `logit_bias`, pairs of a token id and a number that is added.

    Then at `temperature` 0 the likeliest token is chosen, whatever the following fields say. Else one is drawn from the
    `top_k` likeliest (0: all) that have at least `min_p` times the chance of the likeliest, and of these from the
    likeliest with `top_p` of the chances, in (0, 1]. With a `seed` the answer is reproducible.

    `logprobs` changes nothing of that: it asks for the probability of each token of the answer, and of so many of the
    likeliest in its place; None for none of it.
    """

    temperature: float = 0.0
    top_p: float = 1.0
    top_k: int = 0
    seed: int | None = None
    min_p: float = 0.0
    repetition_penalty: float = 1.0
    presence_penalty: float = 0.0
    frequency_penalty: float = 0.0
    logit_bias: tuple[tuple[int, float], ...] = ()
    logprobs: int | None = None

    @property
    def repeatable(self) -> bool:
        """Whether the same job gets the same answer again."""
        return self.temperature == 0 or self.seed is not None

    @property
    def penalizes(self) -> bool:
        """Whether a token depends on those before it by more than the model."""
        return (self.repetition_penalty, self.presence_penalty, self.frequency_penalty) != (1, 0, 0)

    @property
    def effective(self) -> Sampling:
        """With the defaults in place of what has no effect."""
        if self.temperature:
            return self
        return replace(self, temperature=0.0, top_p=1.0, top_k=0, seed=None, min_p=0.0)


GREEDY = Sampling()


@dataclass(frozen=True, slots=True)
class Grammar:
    """The form that an answer is forced into. `text` is, by `kind`, empty, the schema, a list of texts in JSON of which
    the answer is one, the regular expression that the whole answer matches, or the answer itself (`given`), whose end
    is among its tokens then.
    """

    kind: Literal["json_object", "json_schema", "choices", "regex", "given"]
    text: str = ""


@dataclass(frozen=True, slots=True)
class Turn:
    """A turn of a chat: texts, and None in the place of each of the job's pictures, in their order."""

    role: Role
    parts: tuple[str | None, ...]


@dataclass(frozen=True, slots=True)
class Job:
    """What one model has to do.

    `images` are encoded files, as bytes. `prompt` is made by
    `looksee.models.registry.prompts`: a text to continue, an instruction, or the name of an object to find. The answer
    ends before the first of the `stop` strings.

    With a `grammar` each token is chosen among those after which the answer may still become one of that form.

    The fields after `stop` are for some models only: a caption's `length` where there is no prompt; places that a
    question is about (`spatial_refs`, as (x, y) or (x_min, y_min, x_max, y_max), normalised); `reasoning` before the
    answer; the most objects to find; and the `turns` of a chat, which replace the `prompt`; the last one is the user's.
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
    grammar: Grammar | None = None
    wording: Wording = AS_WRITTEN


@dataclass(frozen=True, slots=True)
class Timing:
    """How long the parts of an answer took, in seconds. `rows` is the mean number of rows in the batch at its steps.

    `waited` is the time before the preparation, and `prefill` the part of `compute` until the first token.
    """

    prepare: float = 0.0
    queue: float = 0.0
    compute: float = 0.0
    rows: float = 0.0
    waited: float = 0.0
    prefill: float = 0.0


@dataclass(frozen=True, slots=True)
class Grounding:
    """Points that the characters `start` to `end` of a text refer to."""

    start: int
    end: int
    points: tuple[Point, ...]


@dataclass(frozen=True, slots=True)
class Reasoning:
    """The text that a model wrote before its answer, and the points it refers to."""

    text: str
    grounding: tuple[Grounding, ...] = ()


@dataclass(frozen=True, slots=True)
class Answer:
    """A model's whole answer: a text, or the boxes or points of an object.

    `finish` is `length` when `max_new_tokens`, `max_objects` or the most words cut it, `empty` for a text without a
    character, and `loop` for one that was repeating itself and was cut for it. `prompt_tokens` counts everything that
    the decoder was given: text, turn markers, and picture tokens, also where these are in a cross-attention (BLIP).
    `new_tokens` counts what was generated, also what is not in the text.

    `confidences`, from 0 to 1, are of the boxes or of the points, in their order; empty where nothing is known of it.
    `tokens` are the text's, where `Sampling.logprobs` asked for them: as the model wrote them, without the ends that a
    text is cut to.
    """

    text: str
    finish: Finish
    prompt_tokens: int
    new_tokens: int
    boxes: tuple[Box, ...] = ()
    points: tuple[Point, ...] = ()
    reasoning: Reasoning | None = None
    confidences: tuple[float, ...] = ()
    tokens: tuple[TokenScore, ...] = ()

    @property
    def is_worth_keeping(self) -> bool:
        """Whether it may be stored: who asks again for an answer that went wrong is to get another one."""
        return self.finish in ("stop", "length")


@dataclass(frozen=True, slots=True)
class Failure:
    """An error as data."""

    code: str
    message: str
    param: str | None = None
    retry_after: int | None = None

    @classmethod
    def of(cls, error: errors.LookseeError) -> Failure:
        return cls(error.code, error.message, error.param, error.retry_after)

    def error(self) -> errors.LookseeError:
        """The error; an unknown code, as of a newer runner, makes a RunnerFailed."""
        kind = errors.BY_CODE.get(self.code, errors.RunnerFailed)
        return kind(self.message, param=self.param, retry_after=self.retry_after)


@dataclass(frozen=True, slots=True)
class Reply:
    """A job's answer or its failure: exactly one of the two."""

    answer: Answer | None = None
    failure: Failure | None = None
    timing: Timing = field(default_factory=Timing)


@dataclass(frozen=True, slots=True)
class Identity:
    """Which weights answer; `cloud` for a vendor's. `fingerprint` changes whenever an answer could change; it is None
    while it is not known, and always for a vendor's.
    """

    model: str
    weights: Literal["sample", "hub", "local", "cloud"]
    revision: str
    fingerprint: str | None


@dataclass(frozen=True, slots=True)
class Status:
    """A runner's state, for the health routes, the cache and the admin API.

    The state `waiting` is for a place among the models that may be loaded at a time. Memory is in bytes: of the whole
    process, and allocated on a GPU; None where it cannot be measured. `last_use` is a Unix time. `in_flight` calls are
    being answered, `queued` ones wait for the weights; `failure` says why these could not be loaded.

    A `warm` model has answered since it was loaded: a request, or to a drawn picture. `preloaded` says of one that its
    process loads by itself whether that was done; None of another. A `pinned` one is not released for others. `expires`
    is the Unix time at which it is released if nobody asks until then; None where it stays, or is not loaded.
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
    warm: bool = False
    preloaded: bool | None = None
    pinned: bool = False
    expires: float | None = None


@dataclass(frozen=True, slots=True)
class Ask:
    """A job with `timeout` seconds to answer it. With `followed` its text is sent in pieces as it is generated. With
    `waits_apart` its time does not pass while it waits for weights, for which it may wait as long as the runner has it.

    `trace` has the headers of W3C's Trace Context: the span of the gateway that the runner's spans are below.
    """

    job: Job
    timeout: float
    request_id: str = ""
    followed: bool = False
    waits_apart: bool = False
    trace: tuple[tuple[str, str], ...] = ()


@dataclass(frozen=True, slots=True)
class Call:
    """Jobs in one message to a runner, of one request or of several. Each is answered as soon as it ends."""

    id: str
    asks: list[Ask]


@dataclass(frozen=True, slots=True)
class Event:
    """A message about the ask with index `ask`: a piece of its text, or its reply with the identity of the weights.

    Or `wait`: it waits for weights, for so many seconds at most, and its time stands still; 0 once it goes on.
    """

    ask: int
    text: str = ""
    reply: Reply | None = None
    identity: Identity | None = None
    wait: float | None = None
