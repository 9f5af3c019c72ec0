"""The gateway: `bentoml serve` starts it, and a process for each model beside it."""

from __future__ import annotations

import asyncio
import functools
import gc
from collections.abc import Awaitable
from typing import Any

import bentoml
from starlette.applications import Starlette
from starlette.responses import Response
from starlette.routing import BaseRoute

from cache.answer_cache import AnswerCache
from cache.guarded_redis import GuardedRedis
from looksee.core.tasks import Task
from looksee.engine.metrics import forget_the_dead
from looksee.gateway import moondream_cloud
from looksee.gateway.answering import AnsweringService
from looksee.gateway.runner_client import RunnerClient
from looksee.http.answers.detections import BoxView, PointView
from looksee.http.app import build
from looksee.http.dialects import bento_methods, captioning, container_forms
from looksee.http.dialects import container as moondream_api
from looksee.http.dialects.container import MODEL
from looksee.http.edge.api_keys import ApiKeys
from looksee.http.edge.auth import AccessControl
from looksee.http.edge.middleware import EdgeMiddleware
from looksee.http.edge.rate_limit import RateLimit
from looksee.http.inputs import uploads
from looksee.http.openapi.document import document
from looksee.models.registry import REGISTRY
from looksee.serving import logs
from looksee.serving.bentoml_patches import (
    LeanService,
    forms_are_the_callers,
    respawn_in_containers,
    unreported,
    watch_closely,
    without_limits,
)
from looksee.settings.general import settings
from runners.blip import Blip
from runners.blip2 import Blip2
from runners.gemma import Gemma
from runners.intern_vlm import InternVlm
from runners.moondream import Moondream

unreported()
respawn_in_containers()
watch_closely()
without_limits()
forms_are_the_callers()

_SETTINGS = settings()
_REDIS = GuardedRedis(_SETTINGS.redis(), timeout=_SETTINGS.cache_timeout_ms / 1000)
_ANSWERING = AnsweringService({}, AnswerCache(_REDIS, ttl=_SETTINGS.cache_ttl_seconds))
_HTTP = build(_ANSWERING, _SETTINGS)
_UPLOAD_SECONDS = 20  # what a slow upload may take beyond the time to answer
_LEFT_OUT = ("index", "openapi-spec", "static_content")


class Gateway(LeanService):
    """A BentoML service whose app stands behind our door."""

    def to_asgi(self, is_main: bool = True) -> Any:
        app: Starlette = super().to_asgi(is_main=is_main)
        # Our mounted app comes before BentoML's routes, so that /healthz, /readyz and / are ours, and the methods come
        # before it, for each of its routes would be asked first. BentoML's own page (it loads a tracker), its document
        # (it loads badges) and its directory of static files (it would match any path) are left out.
        methods = {method.route for method in self.apis.values()}
        routes = [route for route in app.router.routes if _name(route) not in _LEFT_OUT]
        routes.sort(key=lambda route: (getattr(route, "path", "") not in methods, _name(route) != "http"))
        app.router.routes[:] = routes
        timeout = _SETTINGS.request_timeout_seconds
        return EdgeMiddleware(
            app,
            _gate(),
            max_body=_SETTINGS.max_request_bytes,
            timeout=timeout,
            longest=timeout + _UPLOAD_SECONDS,
            timeouts={"/v1/batch": _SETTINGS.batch_timeout_seconds},
            forms={*container_forms.PATHS, *captioning.MODELS},
            no_forms=methods,
            check_room=_ANSWERING.check_room,
        )


def _gate() -> AccessControl:
    per_minute = _SETTINGS.requests_per_minute
    rate = RateLimit(per_minute, _REDIS) if per_minute else None
    return AccessControl(ApiKeys(_SETTINGS.clients()), ApiKeys([_SETTINGS.metrics_key]), rate)


def _name(route: BaseRoute) -> str:
    return getattr(route, "name", "")


@bentoml.service(
    name="Looksee",
    service_class=Gateway,
    http={"port": _SETTINGS.port},
    runner_probe={"enabled": False},
)
@bentoml.asgi_app(_HTTP, path="/", name="http")
class Looksee:
    """Captions for your pictures, on your own machine."""

    blip = bentoml.depends(Blip, url=_SETTINGS.blip.url or None)
    blip2 = bentoml.depends(Blip2, url=_SETTINGS.blip2.url or None)
    gemma = bentoml.depends(Gemma, url=_SETTINGS.gemma.url or None)
    intern_vlm = bentoml.depends(InternVlm, url=_SETTINGS.intern_vlm.url or None)
    moondream = bentoml.depends(Moondream, url=_SETTINGS.moondream.url or None)

    def __init__(self) -> None:
        logs.configure(_SETTINGS.log_format)
        forget_the_dead()
        gc.freeze()  # what is imported stays: the collector need not walk it again and again
        _ANSWERING.runners = {name: _runner(name, getattr(self, name)) for name in REGISTRY}
        _ANSWERING.elsewhere = moondream_cloud.offered(_SETTINGS)

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
            _ANSWERING,
            _SETTINGS,
            ctx.request.receive,
            uploads.encoded(image, _SETTINGS, ctx.request.receive),
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
            _ANSWERING,
            _SETTINGS,
            ctx.request.receive,
            uploads.encoded(image, _SETTINGS, ctx.request.receive),
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
            _ANSWERING,
            _SETTINGS,
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
            _ANSWERING,
            _SETTINGS,
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
            _ANSWERING,
            _SETTINGS,
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
            _ANSWERING,
            _SETTINGS,
            ctx.request.receive,
            images=images,
            model=model,
            caption_prompt=caption_prompt,
            flag_caption_prompt=flag_caption_prompt,
        )
        return await _sent(ctx, answer)

    @bentoml.on_shutdown
    async def close(self) -> None:
        await _REDIS.close()
        await asyncio.gather(*(one.close() for one in _ANSWERING.elsewhere.values()))


def _runner(name: str, proxy: Any) -> RunnerClient:
    return RunnerClient(name, proxy, room=_SETTINGS.max_queue + _SETTINGS.model(name).max_batch_rows)


async def _sent(ctx: bentoml.Context, work: Awaitable[Response]) -> Response:
    answer = await bento_methods.told(work)
    ctx.response.status_code = answer.status_code  # BentoML puts the context's status on every answer
    return answer


@functools.cache
def _document() -> dict[str, Any]:
    gateway: Any = Looksee  # the decorator made a Service of the class
    described = gateway.openapi_spec.asdict()["paths"]
    return document(_HTTP, {method.route: described[method.route] for method in gateway.apis.values()})


@_HTTP.get("/openapi.json", include_in_schema=False)
async def openapi() -> dict[str, Any]:
    """The document of every public route."""
    return _document()
