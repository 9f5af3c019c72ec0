"""A chat, for all dialects that have one: its messages read and checked, and answered whole or in pieces."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Awaitable, Sequence
from contextlib import aclosing
from dataclasses import dataclass
from typing import Any, Self

from looksee.core import errors
from looksee.core.images import Picture
from looksee.core.tasks import Grammar, Sampling
from looksee.gateway.answering import CacheableJob, ServedAnswer
from looksee.http.apis import one_turn
from looksee.http.context import RequestContext
from looksee.http.inputs import structured_output, uploads
from looksee.http.inputs.chat import new_tokens
from looksee.http.inputs.structured_output import ResponseFormat, StructuredOutput
from looksee.http.skills import conversation
from looksee.http.skills.conversation import Conversation
from looksee.models.registry import offers


@dataclass(frozen=True, slots=True)
class ChatOptions:
    """What is asked of the answer, beside how it is sampled.

    `max_new_tokens` None is the model's own default; of more than the settings admit, the answer has what they do, and
    `PreparedChat.headers` say so.
    """

    max_new_tokens: int | None = None
    stop: tuple[str, ...] = ()
    response_format: ResponseFormat | None = None
    grammar: Grammar | None = None
    reasoning: bool = False


@dataclass(frozen=True, slots=True)
class PreparedChat:
    """A conversation that `model` can take, with its pictures."""

    context: RequestContext
    model: str
    options: ChatOptions
    talk: Conversation
    asked: Conversation  # with the words that a model needs beside the caller's
    pictures: Sequence[Picture]
    structure: StructuredOutput | None

    @property
    def headers(self) -> dict[str, str]:
        """Further headers of the answer, whole or streamed."""
        return new_tokens.headers(self.options.max_new_tokens, self.context.settings)

    @classmethod
    async def prepared(cls, context: RequestContext, model: str, talk: Conversation, options: ChatOptions) -> Self:
        """Check a conversation, and read its pictures. Raises the error of the first thing that is wrong."""
        settings = context.settings
        talk = one_turn.folded(talk, model, settings)
        conversation.check(talk, model)
        if options.reasoning and (not offers()[model].reasons or not talk.texts):
            raise errors.TaskNotSupported(
                "Only 'moondream' thinks first, and only about a question.", param="reasoning"
            )
        structure = structured_output.structure(options.response_format, model, settings)
        urls = dict(zip(talk.places, talk.urls, strict=True))
        pictures = await uploads.pictures(urls, "messages", context)
        asked = conversation.worded(talk, model)
        if structure is not None:
            asked = asked.ending(structure.words)
        return cls(context, model, options, talk, asked, pictures, structure)

    async def answers(self, samplings: Sequence[Sampling]) -> list[ServedAnswer]:
        """An answer by each sampling, in their order. Raises the first error."""
        with conversation.places_named(self.talk):
            return await asyncio.gather(*map(self._answer, samplings))

    async def pieces(self, sampling: Sampling) -> AsyncGenerator[str | ServedAnswer, None]:
        """An answer as `RequestContext.follow` gives it; one in JSON is a single piece, once it is valid."""
        with conversation.places_named(self.talk):
            if self.structure is None:
                found = await self.context.follow(self.model, self._job(sampling), param="messages")
            else:
                found = await self.context.begun(_whole(self._answer(sampling)), param="messages")
        return _named(found, self.talk)

    async def _answer(self, sampling: Sampling) -> ServedAnswer:
        return await (self._ask(sampling) if self.structure is None else self._structured(self.structure, sampling))

    async def _structured(self, structure: StructuredOutput, sampling: Sampling) -> ServedAnswer:
        return await structure.asked(self._ask, sampling, stop=bool(self.options.stop))

    async def _ask(self, sampling: Sampling) -> ServedAnswer:
        return await self.context.ask(self.model, self._job(sampling), param="messages")

    def _job(self, sampling: Sampling) -> CacheableJob:
        options = self.options
        more: dict[str, Any] = {"reasoning": True} if options.reasoning else {}
        grammar = options.grammar if self.structure is None else self.structure.grammar
        return conversation.job(
            self.asked,
            self.pictures,
            self.model,
            self.context.settings,
            max_new_tokens=new_tokens.bounded(options.max_new_tokens, self.context.settings),
            stop=options.stop,
            sampling=sampling,
            grammar=grammar,
            **more,
        )


async def _named(
    pieces: AsyncGenerator[str | ServedAnswer, None], talk: Conversation
) -> AsyncGenerator[str | ServedAnswer, None]:
    """The pieces; errors about a picture name it as the caller does."""
    with conversation.places_named(talk):
        async with aclosing(pieces):
            async for piece in pieces:
                yield piece


async def _whole(asked: Awaitable[ServedAnswer]) -> AsyncGenerator[str | ServedAnswer, None]:
    """An answer that comes whole, as `RequestContext.follow` yields one."""
    served = await asked
    yield served.answer.text
    yield served
