"""What a person or a prober opens: the page, the API documents, health. Every asset is local."""

from __future__ import annotations

import asyncio
from importlib import metadata, resources
from pathlib import Path
from typing import Any

from fastapi import APIRouter
from fastapi.openapi.docs import get_redoc_html, get_swagger_ui_html
from starlette.responses import FileResponse, Response

from gateway.desk import Desk
from settings import Settings

UI = Path(__file__).parent.parent / "ui"
_DOCS = resources.files("fastapi_offline") / "static"
_DOCUMENT = "/openapi.json"
_TITLE = "Looksee"
# Assets are named one by one: a directory mount would answer, and count in the metrics, any path below it.
_ASSETS = {
    **{
        f"/ui/{file.name}": file
        for file in sorted(UI.iterdir())
        if file.suffix in (".css", ".js", ".svg", ".jpg", ".png")
    },
    **{
        f"/docs/{name}": Path(str(_DOCS / name))
        for name in ("swagger-ui-bundle.js", "swagger-ui.css", "redoc.standalone.js")
    },
}


def router(desk: Desk, settings: Settings) -> APIRouter:
    """The routes, bound to a desk."""
    routes = APIRouter()

    @routes.get("/", include_in_schema=False)
    async def page() -> Response:
        return FileResponse(UI / "index.html", headers={"Cache-Control": "no-cache"})

    for path, file in _ASSETS.items():
        routes.add_api_route(path, _sender(file), include_in_schema=False)

    @routes.get("/docs", include_in_schema=False)
    async def swagger() -> Response:
        return get_swagger_ui_html(
            openapi_url=_DOCUMENT,
            title=_TITLE,
            swagger_js_url="/docs/swagger-ui-bundle.js",
            swagger_css_url="/docs/swagger-ui.css",
            swagger_favicon_url="/ui/icon.svg",
        )

    @routes.get("/redoc", include_in_schema=False)
    async def redoc() -> Response:
        return get_redoc_html(
            openapi_url=_DOCUMENT,
            title=_TITLE,
            redoc_js_url="/docs/redoc.standalone.js",
            redoc_favicon_url="/ui/icon.svg",
            with_google_fonts=False,
        )

    @routes.get("/healthz", tags=["health"], summary="Is the gateway alive")
    async def healthz() -> dict[str, str]:
        return {"status": "ok"}

    @routes.get("/livez", tags=["health"], summary="Is the gateway alive")
    async def livez() -> dict[str, str]:
        return {"status": "ok"}

    @routes.get("/readyz", tags=["health"], summary="Does the gateway take requests")
    async def readyz() -> dict[str, str]:
        # On purpose no word about the models: they load on first use, and one of them must not take the rest away.
        return {"status": "ready"}

    @routes.get("/health", tags=["health"], summary="The gateway, its models and its cache")
    async def health() -> dict[str, Any]:
        statuses = await asyncio.gather(*(runner.status() for runner in desk.runners.values()))
        models = {
            name: status.state if status else "unreachable" for name, status in zip(desk.runners, statuses, strict=True)
        }
        return {
            "status": "healthy",
            "model_loaded": "ready" in models.values(),
            "models": models,
            "redis": await desk.cache.ping(),
            "version": version(),
            "environment": settings.env,
        }

    return routes


def version() -> str:
    """The installed version; `dev` where the project runs from its folder alone."""
    try:
        return metadata.version("looksee")
    except metadata.PackageNotFoundError:
        return "dev"


def _sender(file: Path) -> Any:
    async def send() -> Response:
        return FileResponse(file, headers={"Cache-Control": "public, max-age=3600"})

    return send
