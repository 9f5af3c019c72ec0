"""One item of a batch: its skill with its parameters, and the answer that the route of its task would give."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from typing import Annotated, Any, Self

from pydantic import ConfigDict, Field

from looksee.core import errors
from looksee.core.images import Picture, mib
from looksee.core.tasks import Length, Sampling, Task
from looksee.http import error_params
from looksee.http.answers.metadata import source
from looksee.http.apis import one_answer
from looksee.http.context import RequestContext
from looksee.http.dialects.batch.several import SeveralTries
from looksee.http.error_sentences import Accepted, raised
from looksee.http.inputs import parameters, uploads, validation
from looksee.http.inputs.bodies import Integer
from looksee.http.inputs.forced import texts
from looksee.http.inputs.sampling_fields import SamplingFields
from looksee.http.inputs.wording.fields import LANGUAGE, MAX_WORDS, STRIP_OPENING
from looksee.http.skills import SKILLS, Skill
from looksee.http.skills.classify import LABELS, MULTIPLE, SomeLabels
from looksee.http.skills.localization import MAX_OBJECTS, OBJECTS_FIELD, LocalizationSkill, Names
from looksee.http.skills.skill import TextSkill
from looksee.models.registry import REGISTRY, offer_for, offers, resolved
from looksee.settings import Settings

# Members that make up the parameters of a TextSkill.
_TEXT = frozenset({"max_tokens", "temperature", "top_p", "seed", *SamplingFields.model_fields})

_OBJECTS = frozenset({"object", "objects"})

_Model = Annotated[str, Field(json_schema_extra={"enum": list(REGISTRY)})]
_Picture = Annotated[str, Field(json_schema_extra=parameters.NAMED_PICTURE)]


class BatchDefaults(SamplingFields):
    """What is asked. At the top of a batch it holds for all items that do not say otherwise."""

    model_config = ConfigDict(extra="forbid")  # a misspelt member would spoil a whole batch unnoticed

    task: Task = Task.CAPTION
    model: _Model | None = Field(
        None, description=f"one of: {', '.join(REGISTRY)}; moondream if not given, gemma for collective"
    )
    prompt: str = Field("", description="caption, collective; as in `/caption`")
    length: Length = Field("normal", description="caption; short and long are Moondream's")
    question: str = Field("", description="query; classify: what the labels answer")
    labels: SomeLabels = Field([], description=f"classify: {LABELS.description}")
    multiple: bool = Field(False, description=f"classify: {MULTIPLE.description}")
    choices: texts.Choices = texts.CHOICES
    regex: str = texts.REGEX
    object: str | None = Field(None, description="detect, point: what is to be found, in a word or a few")
    objects: Names | None = OBJECTS_FIELD
    max_objects: Integer | None = Field(
        None,
        description="detect, point",
        json_schema_extra=parameters.at_most(validation.MOST_OBJECTS, usual=MAX_OBJECTS),
    )
    threshold: float = Field(0.0, ge=0, le=1, description="detect, point: the least `confidence` of what is answered")
    scores: bool = Field(False, description="of a text: tell the mean log-probability of its tokens, `mean_logprob`")
    max_words: Integer = MAX_WORDS
    strip_opening: bool = STRIP_OPENING
    language: str = LANGUAGE
    max_tokens: Integer | None = Field(
        None, description="of a text: new tokens at most", json_schema_extra=parameters.NEW_TOKENS
    )
    temperature: float = Field(0.0, ge=0, le=2, description="of a text; 0: the likeliest word each time")
    top_p: float = Field(1.0, gt=0, le=1, description="with a temperature: of the likeliest words, so much in all")
    seed: Integer | None = Field(
        None,
        ge=-(2**63),
        lt=2**63,
        description="with a temperature: makes the answer one that can be had again",
        json_schema_extra=parameters.SEED,
    )

    def check_values(self, settings: Settings) -> None:
        """Raises InvalidValue or UnknownModel for what is wrong whatever the task is."""
        validation.check_new_tokens(self.max_tokens, settings, param="max_tokens")
        validation.check_objects(self.max_objects)
        for number, name in enumerate(self.objects or ()):
            validation.check_question(name, settings, param=f"objects.{number}")
        if self.model is not None and resolved(self.model) not in offers():
            offer_for(self.model, self.task)  # raises it


class BatchItem(BatchDefaults):
    """One question about one picture; for the task `collective` about several."""

    id: str | Integer | None = Field(None, description="comes back with the answer; a file's name, for example")
    image: _Picture | None = Field(None, description="a name in the batch's `images`, or base64, bare or as a data URI")
    images: list[_Picture] | None = Field(
        None,
        description="collective: several such, in their order",
        json_schema_extra=parameters.set_by("max_files", "maxItems"),
    )

    def completed(self, batch: BatchDefaults) -> Self:
        """The item with what the batch says for all."""
        common = batch.model_fields_set & BatchDefaults.model_fields.keys()
        if self.model_fields_set & _OBJECTS:  # in whichever way it names its own
            common -= _OBJECTS
        return self.model_copy(update={name: getattr(batch, name) for name in common - self.model_fields_set})

    @property
    def asked(self) -> str:
        """The model that is asked."""
        return resolved(self.model or SKILLS[self.task].default_model)

    def skill(self) -> Skill:
        """The skill of a completed item, with its parameters."""
        kind = SKILLS[self.task]
        names = kind.parameters() & BatchDefaults.model_fields.keys()
        own: dict[str, Any] = {name: getattr(self, name) for name in names}
        if issubclass(kind, TextSkill):
            own |= {"max_new_tokens": self.max_tokens, "sampling": self.sampling()}
        return kind(**own)

    def check(self, settings: Settings) -> None:
        """Check a completed item but for its pictures. Raises what the route of its task would answer."""
        model = offer_for(self.asked, self.task).name
        validation.check_new_tokens(self.max_tokens, settings, param="max_tokens")
        self.skill().check(model, settings)
        self._check_pictures(settings)

    def check_own(self, task: Task) -> None:
        """Raises InvalidValue for a member that the task does not have: another one was meant."""
        kind = SKILLS[task]
        known = {"task", "model"} | kind.parameters() | (_TEXT if issubclass(kind, TextSkill) else set())
        for name in sorted((self.model_fields_set & BatchDefaults.model_fields.keys()) - known):
            members = sorted(BatchDefaults.model_fields, key=SamplingFields.model_fields.__contains__)  # these last
            takes = ", ".join(own for own in members if own in known)
            raise errors.InvalidValue(f"'{name}' does not go with the task '{task}', which takes: {takes}.", param=name)

    def _check_pictures(self, settings: Settings) -> None:
        wanted, other = ("images", "image") if SKILLS[self.task].several else ("image", "images")
        if getattr(self, other) is not None:
            raise errors.InvalidValue(f"The task '{self.task}' takes '{wanted}', not '{other}'.", param=other)
        if getattr(self, wanted) is None or self.images == []:
            item = Accepted.of(BatchItem, parameters.limits(settings))
            raise errors.InvalidValue(item.sentence(*item.at([wanted]), "is missing; it must be"), param=wanted)
        if self.images and len(self.images) > settings.max_files:
            most = f"{settings.max_files} are accepted{raised('LOOKSEE_MAX_FILES')}"
            message = f"The item has {len(self.images)} pictures; at most {most}."
            raise errors.TooManyFiles(message, param="images")

    def sampling(self) -> Sampling:
        return self.applied(Sampling(self.temperature, self.top_p, seed=self.seed))


class BatchPictures:
    """The pictures of a batch. Each is examined when first used, a named one only once.

    Named pictures are kept as long as the batch, so their size is limited together: the limit on the body does not
    bound what addresses lead to.
    """

    def __init__(self, named: Mapping[str, str], context: RequestContext) -> None:
        self._named, self._context = named, context
        self._examined: dict[str, asyncio.Task[Picture]] = {}
        self._room = context.settings.max_request_bytes

    async def read(self, text: str, param: str) -> Picture:
        """The picture of that name, or that is this text. Raises what `uploads.picture` raises, and RequestTooLarge."""
        try:
            if text not in self._named:
                return await self._examine(text)
            if text not in self._examined:
                self._examined[text] = asyncio.create_task(self._keep(text))
            return await asyncio.shield(self._examined[text])  # other items may wait for it too
        except errors.LookseeError as error:
            raise error_params.renamed(error, param) from error

    @property
    def examining(self) -> list[asyncio.Task[Picture]]:
        """The tasks that examine, or have examined, named pictures: the batch's to stop, since items share them."""
        return list(self._examined.values())

    async def _keep(self, name: str) -> Picture:
        if self._room < 0:
            raise self._too_large()
        try:
            found = await self._examine(self._named[name])
        except errors.Overloaded:
            del self._examined[name]  # the item's next try fetches it again
            raise
        self._room -= len(found.data)
        if self._room < 0:
            del found  # the error is kept as long as the batch, and its frames with it
            raise self._too_large()
        return found

    def _too_large(self) -> errors.LookseeError:
        most = mib(self._context.settings.max_request_bytes)
        most = f"{most} together{raised('LOOKSEE_MAX_REQUEST_BYTES')}"
        return errors.RequestTooLarge(f"The pictures in 'images' have more than {most}.")

    async def _examine(self, text: str) -> Picture:
        return await uploads.picture(text, self._context, param="image")


async def answer(
    context: RequestContext, item: BatchItem, pictures: BatchPictures, several: SeveralTries
) -> dict[str, Any]:
    """The members of the answer to a completed and checked item. Raises its error."""
    skill = item.skill()
    if skill.several:
        texts = {f"images.{index}": text for index, text in enumerate(item.images or ())}
    else:
        texts = {"image": item.image or ""}
    examined = [await pictures.read(text, param) for param, text in texts.items()]
    if isinstance(skill, LocalizationSkill) and skill.objects is not None:
        return await several.members(context, item.asked, skill, examined)
    served = await one_answer.asked(context, item.asked, skill, examined)
    return {**skill.members(served.answer, examined), **source(served)}
