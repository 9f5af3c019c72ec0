"""What a person or a prober opens: the page, the API documents, health. Every asset is local."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from importlib import resources
from pathlib import Path
from typing import Annotated, Any

from fastapi import APIRouter, Query, Request
from fastapi.openapi.docs import get_redoc_html, get_swagger_ui_html
from starlette.responses import FileResponse, Response

from looksee.core.tasks import Task
from looksee.gateway import readiness
from looksee.http import page_policy
from looksee.http.context import ContextFactory
from looksee.http.inputs import parameters
from looksee.models.registry import offer_for
from looksee.version import VERSION

UI = Path(__file__).parents[3] / "ui"
_DOCS = resources.files("fastapi_offline") / "static"
_DOCUMENT = "/openapi.json"
_TITLE = "Looksee"
# Assets are named one by one: a directory mount would answer, and count in the metrics, any path below it.
_PAGE_ASSETS = {
    f"/ui/{file.relative_to(UI).as_posix()}": file
    for file in sorted(UI.rglob("*"))
    if file.suffix in (".css", ".js", ".svg", ".png")
}
_DOCS_ASSETS = {
    "/docs/swagger-ui-bundle.js": "text/javascript",
    "/docs/swagger-ui.css": "text/css",
    "/docs/redoc.standalone.js": "text/javascript",
}
_OWN_PAGES = {"/": "index.html", "/status": "status.html"}
_PAGES = (*_OWN_PAGES, "/docs", "/redoc", _DOCUMENT)
_HEALTH = ("/health", "/healthz", "/livez", "/readyz")
_FOR_CLIENTS = ("/schema.json",)  # BentoML's clients learn from it what they may call
# Open paths: they need no key.
OPEN = frozenset({*_PAGES, *_HEALTH, *_FOR_CLIENTS, *_PAGE_ASSETS, *_DOCS_ASSETS})
# What ReDoc's script puts into the page: a style element without a text, which gets its rules one by one, and one with
# the rules of its scroll bars. By the hashes of their texts.
_STYLES_OF_REDOC = (
    "'sha256-47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU=' 'sha256-QMIg+bpjm3JdElJ388KYke01izlUW0UoNOeKjpMxdgc='"
)
# ReDoc's footer fetches its maker's logo from a CDN and has no option against it.
_FOREIGN_LOGO, _OWN_LOGO = b"https://cdn.redoc.ly/redoc/logo-mini.svg", b"/ui/icon.svg"


def router(contexts: ContextFactory) -> APIRouter:
    """The routes."""
    gateway, settings = contexts.gateway, contexts.settings
    preloaded = readiness.Readiness(settings.preloaded_models())
    routes = APIRouter()

    for path, name in _OWN_PAGES.items():
        routes.add_api_route(path, _page(UI / name), include_in_schema=False)
    for path, file in _PAGE_ASSETS.items():
        routes.add_api_route(path, _page_asset(file), include_in_schema=False)
    for path, media_type in _DOCS_ASSETS.items():
        routes.add_api_route(path, _docs_asset(path, media_type), include_in_schema=False)

    @routes.get("/docs", include_in_schema=False)
    async def swagger() -> Response:
        answer = get_swagger_ui_html(
            openapi_url=_DOCUMENT,
            title=_TITLE,
            swagger_js_url="/docs/swagger-ui-bundle.js",
            swagger_css_url="/docs/swagger-ui.css",
            swagger_favicon_url="/ui/icon.svg",
        )
        answer.headers.update(page_policy.headers(bytes(answer.body), img_src="data:"))
        return answer

    @routes.get("/redoc", include_in_schema=False)
    async def redoc() -> Response:
        answer = get_redoc_html(
            openapi_url=_DOCUMENT,
            title=_TITLE,
            redoc_js_url="/docs/redoc.standalone.js",
            redoc_favicon_url="/ui/icon.svg",
            with_google_fonts=False,
        )
        more = {"img_src": "data:", "style_src": _STYLES_OF_REDOC, "worker_src": "blob:"}
        answer.headers.update(page_policy.headers(bytes(answer.body), **more))
        return answer

    @routes.get("/healthz", tags=["health"], summary="Is the gateway alive")
    async def healthz() -> dict[str, str]:
        return {"status": "ok"}

    @routes.get("/livez", tags=["health"], summary="Is the gateway alive")
    async def livez() -> dict[str, str]:
        return {"status": "ok"}

    @routes.get("/readyz", tags=["health"], summary="Does the service take requests")
    async def readyz(
        request: Request, model: Annotated[str | None, Query(**parameters.model(Task.CAPTION))] = None
    ) -> dict[str, str]:
        """503 until the models of `LOOKSEE_PRELOAD` have been loaded and warmed up, with the reason of each. Of other
        models it says nothing: they load on first use, and one of them must not take the rest away.

        With a `model`, or several, whether these are loaded and have answered, now.
        """
        if model is None:
            await preloaded.check(gateway.runners, gateway.rehearse)
        else:
            asked = [offer_for(name, Task.CAPTION).name for name in request.query_params.getlist("model")]
            await readiness.check_loaded(gateway.runners, [name for name in asked if name not in gateway.elsewhere])
        return {"status": "ready"}

    @routes.get("/health", tags=["health"], summary="The gateway, its models and its cache")
    async def health() -> dict[str, Any]:
        statuses = await asyncio.gather(*(runner.status() for runner in gateway.runners.values()))
        models = {
            name: status.state if status else "unreachable"
            for name, status in zip(gateway.runners, statuses, strict=True)
        }
        return {
            "status": "healthy",
            "model_loaded": "ready" in models.values(),
            "models": models,
            "redis": await gateway.cache.ping(),
            "version": VERSION,
            "environment": settings.env,
        }

    return routes


def _page(file: Path) -> Callable[[], Awaitable[Response]]:
    policy = page_policy.headers(file.read_bytes())

    async def send() -> Response:
        return FileResponse(file, headers={"Cache-Control": "no-cache", **policy})

    return send


def _page_asset(file: Path) -> Callable[[], Awaitable[Response]]:
    async def send() -> Response:
        # Not kept by browsers: after an upgrade an old module must not meet a new page.
        return FileResponse(file, headers={"Cache-Control": "no-cache"})

    return send


def _docs_asset(path: str, media_type: str) -> Callable[[], Awaitable[Response]]:
    content = (_DOCS / path.rpartition("/")[2]).read_bytes().replace(_FOREIGN_LOGO, _OWN_LOGO)

    async def send() -> Response:
        return Response(content, media_type=media_type, headers={"Cache-Control": "public, max-age=86400"})

    return send
