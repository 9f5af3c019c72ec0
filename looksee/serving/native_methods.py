"""The gateway's methods as BentoML's own API has them: its Python clients call them by name."""

from __future__ import annotations

from collections.abc import Awaitable
from typing import Any, ClassVar

import bentoml
from starlette.responses import Response

from looksee.core.tasks import Task
from looksee.http.context import ContextFactory
from looksee.http.dialects import bento_methods
from looksee.http.inputs.bodies import Boolean, Integer, Number
from looksee.http.skills import CaptionSkill, ClassifySkill, DetectSkill, PointSkill, QuerySkill, Skill
from looksee.http.skills.classify import Labels
from looksee.http.skills.localization import Names
from looksee.models.registry import DEFAULT_MODEL


class NativeMethods:
    """Captions for your pictures, on your own machine."""

    contexts: ClassVar[ContextFactory]

    @bentoml.api(route="/caption")
    async def caption(
        self,
        image: str,
        ctx: bentoml.Context,
        length: str = "normal",
        model: str = DEFAULT_MODEL,
        prompt: str = "",
        max_new_tokens: Integer | None = None,
        scores: Boolean = False,
        max_words: Integer = 0,
        strip_opening: Boolean = False,
        language: str = "",
    ) -> Any:
        """Caption one picture: base64, a data URI or an allowed address."""
        skill = CaptionSkill(
            length=length,
            prompt=prompt,
            max_new_tokens=max_new_tokens,
            scores=scores,
            max_words=max_words,
            strip_opening=strip_opening,
            language=language,
        )
        return await self._answer(ctx, model, skill, image)

    @bentoml.api(route="/query")
    async def query(
        self,
        image: str,
        question: str,
        ctx: bentoml.Context,
        model: str = DEFAULT_MODEL,
        max_new_tokens: Integer | None = None,
        scores: Boolean = False,
        max_words: Integer = 0,
        strip_opening: Boolean = False,
        language: str = "",
    ) -> Any:
        """Ask a question about one picture: base64, a data URI or an allowed address."""
        skill = QuerySkill(
            question=question,
            max_new_tokens=max_new_tokens,
            scores=scores,
            max_words=max_words,
            strip_opening=strip_opening,
            language=language,
        )
        return await self._answer(ctx, model, skill, image)

    @bentoml.api(route="/detect")
    async def detect(
        self,
        image: str,
        ctx: bentoml.Context,
        object: str | None = None,
        model: str = DEFAULT_MODEL,
        max_objects: Integer | None = None,
        objects: Names | None = None,
        threshold: Number = 0.0,
    ) -> Any:
        """Find the boxes of what is asked for in one picture: base64, a data URI or an allowed address."""
        skill = DetectSkill(object=object, objects=objects, max_objects=max_objects, threshold=threshold)
        return await self._answer(ctx, model, skill, image)

    @bentoml.api(route="/point")
    async def point(
        self,
        image: str,
        ctx: bentoml.Context,
        object: str | None = None,
        model: str = DEFAULT_MODEL,
        max_objects: Integer | None = None,
        objects: Names | None = None,
        threshold: Number = 0.0,
    ) -> Any:
        """Find a point on each of what is asked for in one picture: base64, a data URI or an allowed address."""
        skill = PointSkill(object=object, objects=objects, max_objects=max_objects, threshold=threshold)
        return await self._answer(ctx, model, skill, image)

    @bentoml.api(route="/classify")
    async def classify(
        self,
        image: str,
        labels: Labels,
        ctx: bentoml.Context,
        question: str = "",
        model: str = DEFAULT_MODEL,
        multiple: Boolean = False,
    ) -> Any:
        """Which of some labels fits one picture: base64, a data URI or an allowed address."""
        skill = ClassifySkill(labels=labels, question=question, multiple=multiple)
        return await self._answer(ctx, model, skill, image)

    @bentoml.api(route="/caption_images")
    async def caption_images(
        self,
        images: bento_methods.Images,
        ctx: bentoml.Context,
        model: str = "blip",
        caption_prompt: str = "",
        flag_caption_prompt: str = "",
        max_words: Integer = 0,
        strip_opening: Boolean = False,
        language: str = "",
    ) -> Any:
        """Caption each picture of a list of base64 texts, data URIs or allowed addresses."""
        answer = bento_methods.answer(
            self.contexts.of(ctx.request.receive),
            Task.CAPTION,
            images=images,
            model=model,
            caption_prompt=caption_prompt,
            flag_caption_prompt=flag_caption_prompt,
            max_words=max_words,
            strip_opening=strip_opening,
            language=language,
        )
        return await _sent(ctx, answer)

    @bentoml.api(route="/collective")
    async def collective(
        self,
        images: bento_methods.Images,
        ctx: bentoml.Context,
        model: str = "gemma",
        caption_prompt: str = "",
        flag_caption_prompt: str = "",
        max_words: Integer = 0,
        strip_opening: Boolean = False,
        language: str = "",
    ) -> Any:
        """Write one caption for all pictures of a list of base64 texts, data URIs or allowed addresses."""
        answer = bento_methods.answer(
            self.contexts.of(ctx.request.receive),
            Task.COLLECTIVE,
            images=images,
            model=model,
            caption_prompt=caption_prompt,
            flag_caption_prompt=flag_caption_prompt,
            max_words=max_words,
            strip_opening=strip_opening,
            language=language,
        )
        return await _sent(ctx, answer)

    async def _answer(self, ctx: bentoml.Context, model: str, skill: Skill, image: str) -> Response:
        context = self.contexts.of(ctx.request.receive)
        return await _sent(ctx, bento_methods.about_one(context, ctx.request, model, skill, image))


async def _sent(ctx: bentoml.Context, work: Awaitable[Response]) -> Response:
    answer = await bento_methods.answered(work)
    ctx.response.status_code = answer.status_code  # BentoML puts the context's status on every answer
    return answer
