"""The gateway's methods as BentoML's own API has them: its Python clients call them by name."""

from __future__ import annotations

from collections.abc import Awaitable
from typing import Any, ClassVar

import bentoml
from starlette.responses import Response

from looksee.core.tasks import Task
from looksee.gateway.answering import AnsweringService
from looksee.http.answers.detections import BoxView, PointView
from looksee.http.dialects import bento_methods
from looksee.http.dialects import container as moondream_api
from looksee.http.dialects.container import MODEL
from looksee.http.inputs import uploads
from looksee.settings import Settings


class NativeMethods:
    """Captions for your pictures, on your own machine."""

    settings: ClassVar[Settings]
    answering: ClassVar[AnsweringService]

    @bentoml.api(route="/caption")
    async def caption(
        self,
        image: str,
        ctx: bentoml.Context,
        length: str = "normal",
        model: str = MODEL,
        prompt: str = "",
        max_new_tokens: int | None = None,
    ) -> Any:
        """Caption one picture: base64, a data URI or an allowed address."""
        answer = moondream_api.caption(
            self.answering,
            self.settings,
            ctx.request.receive,
            uploads.encoded(image, self.settings, ctx.request.receive),
            length=length,
            model=model,
            prompt=prompt,
            max_new_tokens=max_new_tokens,
        )
        return await _sent(ctx, answer)

    @bentoml.api(route="/query")
    async def query(
        self,
        image: str,
        question: str,
        ctx: bentoml.Context,
        model: str = MODEL,
        max_new_tokens: int | None = None,
    ) -> Any:
        """Ask a question about one picture: base64, a data URI or an allowed address."""
        answer = moondream_api.query(
            self.answering,
            self.settings,
            ctx.request.receive,
            uploads.encoded(image, self.settings, ctx.request.receive),
            question=question,
            model=model,
            max_new_tokens=max_new_tokens,
        )
        return await _sent(ctx, answer)

    @bentoml.api(route="/detect")
    async def detect(
        self,
        image: str,
        object: str,
        ctx: bentoml.Context,
        model: str = MODEL,
        max_objects: int | None = None,
    ) -> Any:
        """Find the boxes of what is asked for in one picture: base64, a data URI or an allowed address."""
        answer = bento_methods.found(
            moondream_api.detect,
            BoxView,
            self.answering,
            self.settings,
            ctx.request,
            image=image,
            object=object,
            model=model,
            max_objects=max_objects,
        )
        return await _sent(ctx, answer)

    @bentoml.api(route="/point")
    async def point(
        self,
        image: str,
        object: str,
        ctx: bentoml.Context,
        model: str = MODEL,
        max_objects: int | None = None,
    ) -> Any:
        """Find a point on each of what is asked for in one picture: base64, a data URI or an allowed address."""
        answer = bento_methods.found(
            moondream_api.point,
            PointView,
            self.answering,
            self.settings,
            ctx.request,
            image=image,
            object=object,
            model=model,
            max_objects=max_objects,
        )
        return await _sent(ctx, answer)

    @bentoml.api(route="/caption_images")
    async def caption_images(
        self,
        images: bento_methods.Images,
        ctx: bentoml.Context,
        model: str = "blip",
        caption_prompt: str = "",
        flag_caption_prompt: str = "",
    ) -> Any:
        """Caption each picture of a list of base64 texts, data URIs or allowed addresses."""
        answer = bento_methods.answer(
            Task.CAPTION,
            self.answering,
            self.settings,
            ctx.request.receive,
            images=images,
            model=model,
            caption_prompt=caption_prompt,
            flag_caption_prompt=flag_caption_prompt,
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
    ) -> Any:
        """Write one caption for all pictures of a list of base64 texts, data URIs or allowed addresses."""
        answer = bento_methods.answer(
            Task.COLLECTIVE,
            self.answering,
            self.settings,
            ctx.request.receive,
            images=images,
            model=model,
            caption_prompt=caption_prompt,
            flag_caption_prompt=flag_caption_prompt,
        )
        return await _sent(ctx, answer)


async def _sent(ctx: bentoml.Context, work: Awaitable[Response]) -> Response:
    answer = await bento_methods.told(work)
    ctx.response.status_code = answer.status_code  # BentoML puts the context's status on every answer
    return answer
