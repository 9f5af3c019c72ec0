"""The HTTP app in one place: its routes, what the edge has to know of them, and the handlers of its errors."""

from __future__ import annotations

import logging

from fastapi import Depends, FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.openapi.utils import get_openapi
from fastapi.routing import APIRoute
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect
from starlette.responses import Response
from starlette.routing import Match

from looksee.core import errors
from looksee.gateway.answering import AnsweringService
from looksee.http import error_responses, openai_errors
from looksee.http.context import ContextFactory
from looksee.http.dialects import admin, captioning, container_forms, models, moondream_v1, openai, pages
from looksee.http.dialects import kept_pictures as kept
from looksee.http.dialects.anthropic import route as anthropic
from looksee.http.dialects.batch import route
from looksee.http.dialects.ollama import route as ollama
from looksee.http.dialects.programs import photoprism, x_anylabeling
from looksee.http.dialects.responses import route as responses
from looksee.http.edge.route_table import RouteTable
from looksee.http.error_sentences import Accepted
from looksee.http.inputs import known, model_path
from looksee.models.registry import REGISTRY
from looksee.settings import Settings
from looksee.version import VERSION

logger = logging.getLogger("looksee.api")

_CARDS = "/v1/models/"
_MODEL_PATHS = (_CARDS, "/api/admin/models/", x_anylabeling.MODELS)
_NOT_OFFERED = {**ollama.NOT_OFFERED, **openai.NOT_OFFERED, **anthropic.NOT_OFFERED, **photoprism.NOT_OFFERED}
# Asked by those who left out the end of the base URL.
_WITHOUT_VERSION = ("/chat/completions", "/models", "/responses", "/completions", "/messages")


def _unknown(path: str) -> errors.LookseeError:
    """The error for a path without a route."""
    for prefix in _MODEL_PATHS:
        name = path.removeprefix(prefix).partition("/")[0]
        known = model_path.known_names() if prefix == _CARDS else REGISTRY
        if path.startswith(prefix) and name not in known:
            return model_path.not_found()
    if (refusal := responses.not_stored(path)) is not None:
        return refusal
    for offered in (path, path.rpartition("/")[0]):
        if offered in _NOT_OFFERED:
            return errors.NotOffered(_NOT_OFFERED[offered])
    if path == "/v1/segment":
        return errors.NotOffered("None of the models here can segment; /v1/detect finds boxes.")
    if path.startswith("/v1/tuning"):
        return errors.NotOffered("Models are not trained here.")
    if path in _WITHOUT_VERSION:
        return errors.NotFound(f"There is nothing at this address; /v1{path} is meant, so let the base URL end in /v1.")
    return errors.NotFound("There is nothing at this address.")


def _accepted(route: APIRoute) -> Accepted:
    """What a route takes beside its body, as its document says."""
    described = get_openapi(title="", version="", routes=[route])["paths"][route.path_format]
    found = next(iter(described.values())).get("parameters", ())
    return Accepted({"type": "object", "properties": {one["name"]: one["schema"] for one in found}})


def _told(request: Request, error: errors.LookseeError) -> Response:
    """The answer of an error, in the way of the API that the route is of."""
    if "openai" in getattr(request.scope.get("route"), "tags", ()):
        error = openai_errors.own(error)
        return error_responses.response(error, status=openai_errors.status(error))
    return error_responses.response(error)


def _methods(request: Request) -> str:
    """Those of all routes at an address: the framework tells those of the first."""
    found = (
        method
        for method in ("DELETE", "GET", "PATCH", "POST", "PUT")
        if any(one.matches({**request.scope, "method": method})[0] is Match.FULL for one in request.app.routes)
    )
    return ", ".join(found)


ROUTES = RouteTable(
    open_paths=pages.OPEN,
    form_paths=container_forms.PATHS | captioning.MODELS.keys() | {kept.PATH},
    default_models=captioning.MODELS,
    error_shapes={
        **dict.fromkeys(ollama.PATHS | ollama.NOT_OFFERED.keys(), "text"),
        **dict.fromkeys(photoprism.PATHS | photoprism.NOT_OFFERED.keys(), "numbered"),
        **dict.fromkeys(anthropic.PATHS | anthropic.NOT_OFFERED.keys(), "enveloped"),
    },
    private_paths=frozenset({kept.PATH}),
    unknown=_unknown,
)


def build(gateway: AnsweringService, settings: Settings) -> FastAPI:
    """The app that BentoML mounts at `/`."""
    app = FastAPI(
        title="Looksee",
        summary="Captions for your pictures, on your own machine.",
        version=VERSION,
        docs_url=None,
        redoc_url=None,
        openapi_url=None,
        redirect_slashes=False,
        dependencies=[Depends(known.refuse_unknown)],
    )
    contexts = ContextFactory(gateway, settings)
    dialects = [captioning, container_forms, moondream_v1, openai, responses, anthropic, ollama, photoprism]
    for dialect in (*dialects, x_anylabeling, route, models, admin, pages):
        app.include_router(dialect.router(contexts))
    app.include_router(kept.router(contexts))

    @app.exception_handler(errors.LookseeError)
    async def looksee_error(request: Request, error: errors.LookseeError) -> Response:
        return _told(request, error)

    @app.exception_handler(RequestValidationError)
    async def invalid(request: Request, error: RequestValidationError) -> Response:
        return _told(request, error_responses.of_validation(error.errors(), _accepted(request.scope["route"])))

    @app.exception_handler(HTTPException)
    async def refused(request: Request, error: HTTPException) -> Response:
        answer = error_responses.response(error_responses.of_status(error.status_code))
        answer.headers.update(error.headers or {})
        if error.status_code == 405:
            answer.headers["Allow"] = _methods(request)
        return answer

    @app.exception_handler(ClientDisconnect)
    async def left(_: Request, __: ClientDisconnect) -> Response:
        return error_responses.response(errors.Cancelled("The caller left."))

    @app.exception_handler(Exception)
    async def unforeseen(_: Request, error: Exception) -> Response:
        logger.error("a handler failed", exc_info=error)
        return error_responses.response(error_responses.of_status(500))

    return app
