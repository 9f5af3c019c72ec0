"""Answers to pages of other origins (CORS), in front of everything else: a browser asks without a key, and shows an
error to the page only if that names its origin too.
"""

from __future__ import annotations

from collections.abc import Sequence

from starlette.datastructures import Headers
from starlette.middleware.cors import CORSMiddleware
from starlette.responses import Response
from starlette.types import ASGIApp

from looksee.core import errors
from looksee.http import error_responses
from looksee.http.request_info import request_id_from, request_scope

_METHODS = ("GET", "HEAD", "POST", "PUT", "DELETE")
_EXPOSED = (
    *("X-Request-ID", "Retry-After", "X-RateLimit-Limit", "X-RateLimit-Remaining"),
    *("Server-Timing", "WWW-Authenticate"),
)


class _Cors(CORSMiddleware):
    """Starlette's, with errors in the one shape."""

    def preflight_response(self, request_headers: Headers) -> Response:
        answer = super().preflight_response(request_headers)
        with request_scope(request_id_from(request_headers.get("x-request-id"))):
            if answer.status_code >= 400:
                told = error_responses.response(
                    errors.InvalidRequest(
                        "The page's origin, method or headers are not allowed; origins are set in "
                        f"LOOKSEE_ALLOWED_ORIGINS, and methods are {', '.join(_METHODS)}.",
                        param="Origin",
                    )
                )
                for name in ("content-length", "content-type"):
                    del answer.headers[name]
                told.headers.update(answer.headers)
                return told
        return answer


def behind_cors(app: ASGIApp, origins: Sequence[str]) -> ASGIApp:
    """`app` for pages of these origins too, `*` for any; without one it is `app` itself.

    Keys are in headers that a page sets itself, so no cookies are allowed. Pages of the internet may reach a service in
    a private network, where their origin is named.
    """
    if not origins:
        return app
    return _Cors(
        app,
        allow_origins=origins,
        allow_methods=_METHODS,
        allow_headers=("*",),
        allow_private_network="*" not in origins,
        expose_headers=_EXPOSED,
    )
