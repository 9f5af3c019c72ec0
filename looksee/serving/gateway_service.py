"""The gateway's BentoML service: HTTP app and native methods behind the edge, and a client of each model's runner."""

from __future__ import annotations

import asyncio
import functools
import gc
from collections.abc import Callable, Mapping
from typing import Any

import bentoml
from _bentoml_sdk import Service
from fastapi import FastAPI
from PIL import Image
from starlette.applications import Starlette
from starlette.routing import BaseRoute
from starlette.types import ASGIApp

from looksee.core import logs
from looksee.gateway import demand, moondream_cloud
from looksee.gateway.answering import AnsweringService
from looksee.gateway.runners.client import RunnerClient
from looksee.http.app import ROUTES, build
from looksee.http.context import ContextFactory
from looksee.http.dialects import bento_methods
from looksee.http.document import document
from looksee.http.edge.access.api_keys import ApiKeys
from looksee.http.edge.access.auth import AccessControl
from looksee.http.edge.access.rate_limit import RateLimit
from looksee.http.edge.connection import bound_connections
from looksee.http.edge.cors import behind_cors
from looksee.http.edge.drain import Drain
from looksee.http.edge.foreign_pages import ForeignPages
from looksee.http.edge.middleware import EdgeMiddleware
from looksee.models.registry import runner_urls
from looksee.serving.bentoml_patches import LeanService
from looksee.serving.native_bodies import read_by_dialect
from looksee.serving.native_methods import NativeMethods
from looksee.serving.remote_runners import remote
from looksee.serving.stopping import drain_on_signals
from looksee.settings import Settings
from looksee.watching import processes
from looksee.watching.export import export_spans

NAME = "Looksee"

_UPLOAD_SECONDS = 20  # what a slow upload may take beyond the time to answer
_PULL_SECONDS = 86400.0  # in which weights are fetched for whoever waits for it; asked again it goes on
# What one instance asks for, and how many requests at a time are meant for it: read by BentoCloud, and by nothing here.
_CLOUD: dict[str, Any] = {"resources": {"cpu": "1", "memory": "3Gi"}, "traffic": {"timeout": 120, "concurrency": 64}}
_LEFT_OUT = ("index", "openapi-spec", "static_content")


class GatewayService(LeanService):
    """A BentoML service whose app stands behind the edge. `inner` is the class that `gateway_service` made."""

    def to_asgi(self, is_main: bool = True) -> Any:
        bound_connections()  # in this process alone: the clients of runners are our own
        app: Starlette = super().to_asgi(is_main=is_main)
        # The mounted app comes before BentoML's routes, so that /healthz, /readyz and / are its own, and the methods
        # come before it, since each of its routes would be asked first. BentoML's page (it loads a tracker), its
        # document (it loads badges) and its directory of static files (it would match any path) are left out.
        methods = {method.route for method in self.apis.values()}
        routes = [route for route in app.router.routes if _name(route) not in _LEFT_OUT]
        routes.sort(key=lambda route: (getattr(route, "path", "") not in methods, _name(route) != "http"))
        app.router.routes[:] = routes
        inner: Any = self.inner
        return inner.edge(app, methods)


def gateway_service(
    settings: Settings,
    answering: AnsweringService,
    runners: Mapping[str, Service[Any]],
    redis: Any,
    *,
    on_start: Callable[[], None],
) -> Service[Any]:
    """The service. `runners` are the models' services by name; BentoML starts those that have no URL in the settings.

    `on_start` is called in each gateway process before its first request. `redis` is closed with the process.
    """
    http, drain = build(answering, settings), Drain()

    class Looksee(NativeMethods):
        """Captions for your pictures, on your own machine."""

        def __init__(self) -> None:
            logs.configure(settings.log_format)
            export_spans(settings, "gateway")
            on_start()
            processes.started("gateway")
            bento_methods.make_schemas()
            Image.preinit()  # the usual formats: no request is to wait for their modules
            gc.freeze()  # what is imported stays: the collector need not walk it again and again
            answering.runners = {
                name: _runner_client(settings, name, runner, getattr(self, name, None))
                for name, runner in runners.items()
            }
            answering.elsewhere = moondream_cloud.offered(settings)
            demand.offer(runners)
            drain_on_signals(drain, settings.drain_seconds)

        @staticmethod
        def edge(app: Starlette, methods: set[str]) -> ASGIApp:
            """The edge around `app`, in which `methods` are the paths of the native methods."""
            edge = _edge(settings, answering, redis, app, methods, drain)
            return behind_cors(edge, settings.allowed_origin_list())

        @bentoml.on_shutdown
        async def close(self) -> None:
            await redis.close()
            await answering.pictures.close()
            await asyncio.gather(*(one.close() for one in answering.elsewhere.values()))
            await asyncio.gather(*(one.close() for one in answering.runners.values()))

    Looksee.contexts = ContextFactory(answering, settings)
    for name, runner in runners.items():
        if not settings.model(name).url:
            setattr(Looksee, name, bentoml.depends(runner))
    mounted = bentoml.asgi_app(http, path="/", name="http")(Looksee)
    options: dict[str, Any] = {"http": {"port": settings.port}, "runner_probe": {"enabled": False}, **_CLOUD}
    made: Service[Any] = bentoml.service(name=NAME, service_class=GatewayService, **options)(mounted)
    for method in made.apis.values():
        read_by_dialect(method, settings)
    _add_document(http, made)
    return made


def _edge(
    settings: Settings, answering: AnsweringService, redis: Any, app: Starlette, methods: set[str], drain: Drain
) -> EdgeMiddleware:
    timeout, per_minute = settings.request_timeout_seconds, settings.requests_per_minute
    rate = RateLimit(per_minute, redis) if per_minute else None
    return EdgeMiddleware(
        app,
        AccessControl(ApiKeys(settings.client_key_list()), ApiKeys([settings.metrics_key]), rate),
        ROUTES,
        max_body=settings.max_request_bytes,
        timeout=timeout,
        longest=timeout + _UPLOAD_SECONDS,
        timeouts={"/v1/batch": settings.batch_timeout_seconds, "/api/pull": _PULL_SECONDS},
        no_forms=methods,
        pages=ForeignPages(settings.allowed_origin_list()),
        check_room=answering.check_room,
        max_uploads=max(settings.max_upload_bytes, settings.max_request_bytes),
        drain=drain,
    )


def _runner_client(settings: Settings, name: str, runner: Service[Any], proxy: Any) -> RunnerClient:
    """Of the runner behind `proxy`, on this machine, or of those at the URLs in the settings."""
    rows = settings.model(name).max_batch_rows
    room = settings.max_queue + rows
    if urls := runner_urls.split(settings.model(name).url):
        key = settings.runner_key
        several = {runner_urls.host(url): remote(runner, url, key) for url in urls}
        return RunnerClient.of_several(name, several, room=room, rows=rows)
    return RunnerClient(name, proxy, room=room, rows=rows)


def _add_document(http: FastAPI, service: Service[Any]) -> None:
    @functools.cache
    def described() -> dict[str, Any]:
        paths = service.openapi_spec.asdict()["paths"]
        return document(http, ROUTES, {method.route: paths[method.route] for method in service.apis.values()})

    @http.get("/openapi.json", include_in_schema=False)
    async def openapi() -> dict[str, Any]:
        """The document of every public route."""
        return described()


def _name(route: BaseRoute) -> str:
    return getattr(route, "name", "")
