"""One item of a batch: what it asks, and the answer that the route of its task would give."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from typing import Any, Self

from pydantic import BaseModel, ConfigDict, Field

from looksee.core import errors
from looksee.core.images import Picture, mib
from looksee.core.tags import tags
from looksee.core.tasks import GREEDY, Length, Sampling, Task
from looksee.gateway.answering import AnsweringService, CacheableJob
from looksee.http.asking import ask
from looksee.http.dialects.moondream_v1 import ended
from looksee.http.edge.disconnect import Receive
from looksee.http.inputs import jobs, uploads
from looksee.http.inputs.bodies import Integer
from looksee.models.registry import REGISTRY, offer_for
from looksee.settings import Settings

_TEXT = frozenset({"max_tokens", "temperature", "top_p", "seed"})
_PARAMETERS = {
    Task.CAPTION: _TEXT | {"prompt", "length"},
    Task.QUERY: _TEXT | {"question"},
    Task.COLLECTIVE: _TEXT | {"prompt"},
    Task.DETECT: frozenset({"object", "max_objects"}),
    Task.POINT: frozenset({"object", "max_objects"}),
}


class BatchDefaults(BaseModel):
    """What is asked. At the top of a batch it holds for all items that do not say otherwise."""

    model_config = ConfigDict(extra="forbid")  # a misspelt member would cost a whole batch before anybody saw it

    task: Task = Task.CAPTION
    model: str | None = Field(
        None, description=f"one of: {', '.join(REGISTRY)}; moondream if not given, gemma for collective"
    )
    prompt: str = Field("", description="caption, collective; as in `/caption`")
    length: Length = Field("normal", description="caption; short and long are Moondream's")
    question: str = Field("", description="query")
    object: str = Field("", description="detect, point: what is to be found, in a word or a few")
    max_objects: Integer | None = Field(None, description="detect, point")
    max_tokens: Integer | None = Field(None, description="of a text: new tokens at most")
    temperature: float = Field(0.0, ge=0, le=2, description="of a text; 0: the likeliest word each time")
    top_p: float = Field(1.0, gt=0, le=1, description="with a temperature: of the likeliest words, so much in all")
    seed: Integer | None = Field(
        None, ge=-(2**63), lt=2**63, description="with a temperature: makes the answer one that can be had again"
    )


class BatchItem(BatchDefaults):
    """One question about one picture; for the task `collective` about several."""

    id: str | Integer | None = Field(None, description="comes back with the answer; a file's name, for example")
    image: str | None = Field(None, description="a name in the batch's `images`, or base64, bare or as a data URI")
    images: list[str] | None = Field(None, description="collective: several such, in their order")

    def completed(self, batch: BatchDefaults) -> Self:
        """The item with what the batch says for all."""
        common = batch.model_fields_set & BatchDefaults.model_fields.keys()
        return self.model_copy(update={name: getattr(batch, name) for name in common - self.model_fields_set})

    @property
    def asked(self) -> str:
        """The model that is asked."""
        return self.model or ("gemma" if self.task is Task.COLLECTIVE else "moondream")

    def check(self, settings: Settings) -> None:
        """Check a completed item but for its pictures. Raises what the route of its task would answer."""
        model = offer_for(self.asked, self.task).name
        if self.task in (Task.DETECT, Task.POINT):
            jobs.check_question(self.object, settings, param="object")
            jobs.check_objects(self.max_objects)
        elif self.task is Task.QUERY:
            jobs.check_question(self.question, settings, param="question")
        else:
            jobs.check_prompt(self.prompt, settings, param="prompt")
        if self.task is Task.CAPTION:
            jobs.checked_length(self.length, model, prompt=self.prompt)
        jobs.check_new_tokens(self.max_tokens, settings, param="max_tokens")
        self._check_pictures(settings)

    def check_own(self, task: Task) -> None:
        """Raises InvalidValue for a member that has no meaning for the task: somebody meant another one."""
        for name in sorted(
            (self.model_fields_set & BatchDefaults.model_fields.keys()) - _PARAMETERS[task] - {"task", "model"}
        ):
            raise errors.InvalidValue(f"'{name}' does not go with the task '{task}'.", param=name)

    def _check_pictures(self, settings: Settings) -> None:
        wanted, other = ("images", "image") if self.task is Task.COLLECTIVE else ("image", "images")
        if getattr(self, other) is not None:
            raise errors.InvalidValue(f"The task '{self.task}' takes '{wanted}'.", param=other)
        if getattr(self, wanted) is None or self.images == []:
            raise errors.InvalidValue(f"'{wanted}' is missing.", param=wanted)
        if self.images and len(self.images) > settings.max_files:
            message = f"The item has {len(self.images)} pictures; at most {settings.max_files} are accepted."
            raise errors.TooManyFiles(message, param="images")

    def sampling(self) -> Sampling:
        return Sampling(self.temperature, self.top_p, seed=self.seed) if self.temperature else GREEDY


class BatchPictures:
    """The pictures of a batch, each examined when it is first asked for; one that has a name only once.

    Those with names are kept as long as the batch, which is why they are bounded together: addresses are short.
    """

    def __init__(self, named: Mapping[str, str], settings: Settings, receive: Receive) -> None:
        self._named, self._settings, self._receive = named, settings, receive
        self._examined: dict[str, asyncio.Task[Picture]] = {}
        self._room = settings.max_request_bytes

    async def read(self, text: str, param: str) -> Picture:
        """The picture of that name, or that is this text. Raises what `uploads.picture` raises, and RequestTooLarge."""
        try:
            if text not in self._named:
                return await self._examine(text)
            if text not in self._examined:
                self._examined[text] = asyncio.create_task(self._keep(text))
            return await asyncio.shield(self._examined[text])  # others may wait for it too
        except errors.LookseeError as error:
            raise jobs.named(error, param) from error

    async def _keep(self, name: str) -> Picture:
        if self._room < 0:
            raise self._too_large()
        try:
            found = await self._examine(self._named[name])
        except errors.Overloaded:
            del self._examined[name]  # who asks again has it tried again
            raise
        self._room -= len(found.data)
        if self._room < 0:
            del found  # the error is kept as long as the batch, and its frames with it
            raise self._too_large()
        return found

    def _too_large(self) -> errors.LookseeError:
        most = mib(self._settings.max_request_bytes)
        return errors.RequestTooLarge(f"The pictures in 'images' have more than {most} together.")

    async def _examine(self, text: str) -> Picture:
        return await uploads.picture(text, self._settings, self._receive, param="image")


async def answer(
    answering: AnsweringService, settings: Settings, receive: Receive, item: BatchItem, pictures: BatchPictures
) -> dict[str, Any]:
    """The members of the answer to a completed and checked item. Raises its error."""
    if item.task is Task.COLLECTIVE:
        several = [await pictures.read(text, f"images.{place}") for place, text in enumerate(item.images or ())]
    else:
        several = [await pictures.read(item.image or "", "image")]
    param = {Task.QUERY: "question", Task.DETECT: "object", Task.POINT: "object"}.get(item.task, "prompt")
    served = await ask(answering, settings, receive, item.asked, _question(item, several, settings), param=param)
    outcome = served.answer
    own: dict[str, Any]
    match item.task:
        case Task.CAPTION:
            own = {"caption": outcome.text}
        case Task.QUERY:
            own = {"answer": outcome.text}
        case Task.DETECT:
            own = {"objects": [box._asdict() for box in outcome.boxes]}
        case Task.POINT:
            own = {"points": [point._asdict() for point in outcome.points]}
        case Task.COLLECTIVE:
            own = {"collective_caption": outcome.text, "count": len(several), "tags": tags(outcome.text)}
    return {**own, **ended(served)}


def _question(item: BatchItem, pictures: list[Picture], settings: Settings) -> CacheableJob:
    text: dict[str, Any] = {"max_new_tokens": item.max_tokens, "sampling": item.sampling()}
    model, first = item.asked, pictures[0]
    match item.task:
        case Task.CAPTION:
            return jobs.caption(model, first, settings, prompt=item.prompt, length=item.length, **text)
        case Task.QUERY:
            return jobs.query(model, first, item.question, settings, **text)
        case Task.DETECT:
            return jobs.detect(first, item.object, max_objects=item.max_objects)
        case Task.POINT:
            return jobs.point(first, item.object, max_objects=item.max_objects)
        case Task.COLLECTIVE:
            return jobs.collective(model, pictures, settings, prompt=item.prompt, **text)
