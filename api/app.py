"""The HTTP app, wired in one place: its routes and what its errors become."""

from __future__ import annotations

import logging

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect
from starlette.responses import Response

import errors
from api import admin, batch, captioning, forms, models, moondream_client, openai, pages, shape
from gateway.desk import Desk
from settings import Settings
from version import VERSION

logger = logging.getLogger("looksee.api")


def build(desk: Desk, settings: Settings) -> FastAPI:
    """The app that BentoML mounts at `/`."""
    app = FastAPI(
        title="Looksee",
        summary="Captions for your pictures, on your own machine.",
        version=VERSION,
        docs_url=None,
        redoc_url=None,
        openapi_url=None,
        redirect_slashes=False,
    )
    for dialect in (captioning, forms, moondream_client, openai, batch, models, admin, pages):
        app.include_router(dialect.router(desk, settings))

    @app.exception_handler(errors.LookseeError)
    async def looksee_error(_: Request, error: errors.LookseeError) -> Response:
        return shape.response(error)

    @app.exception_handler(RequestValidationError)
    async def invalid(_: Request, error: RequestValidationError) -> Response:
        return shape.response(shape.of_validation(error.errors()))

    @app.exception_handler(HTTPException)
    async def refused(_: Request, error: HTTPException) -> Response:
        answer = shape.response(shape.of_status(error.status_code))
        answer.headers.update(error.headers or {})  # which methods are allowed
        return answer

    @app.exception_handler(ClientDisconnect)
    async def left(_: Request, __: ClientDisconnect) -> Response:
        return shape.response(errors.Cancelled("The caller left."))

    @app.exception_handler(Exception)
    async def unforeseen(_: Request, error: Exception) -> Response:
        logger.error("a handler failed", exc_info=error)
        return shape.response(shape.of_status(500))

    return app
