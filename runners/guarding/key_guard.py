"""Who may call a runner over a network: whoever has the key; and no one may send it a pickle.

A gateway on the same machine comes by a socket that only this user may open. It has no key, and BentoML sends pickles
that way.
"""

from __future__ import annotations

import hashlib
import hmac
import json
from collections.abc import Sequence

from starlette.datastructures import Headers
from starlette.types import ASGIApp, Receive, Scope, Send

from looksee.core import errors

_OPEN = frozenset({"/livez", "/healthz", "/readyz"})  # their bodies are empty: they say that the process runs
_METRICS = "/metrics"
_BEARER = "bearer "
_PICKLE = "pickle"  # in the type of any body that would be read as one


class KeyGuard:
    """ASGI middleware of every runner. Answers 401, 403 and 415 in the service's shape of errors."""

    def __init__(self, app: ASGIApp, key: str, metrics_key: str) -> None:
        """Without `key` every path is open but the metrics, which then ask for `metrics_key` if there is one.

        With both, either of them opens the metrics.
        """
        self._app = app
        self._keys = _digests([key])
        self._metrics_keys = _digests([key, metrics_key])

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        # A unix socket has no address of its client.
        if scope["type"] not in ("http", "websocket") or scope.get("client") is None:
            await self._app(scope, receive, send)
            return
        refusal = self._refusal(scope["path"], Headers(scope=scope))
        if refusal is None:
            await self._app(scope, receive, send)
        elif scope["type"] == "websocket":
            await send({"type": "websocket.close", "code": 1008})
        else:
            await _answer(refusal, send)

    def _refusal(self, path: str, headers: Headers) -> errors.LookseeError | None:
        right = self._metrics_keys if path == _METRICS else self._keys
        if right and path not in _OPEN:
            given = [value for value in headers.getlist("Authorization") if value.lower().startswith(_BEARER)]
            if not given:
                return errors.MissingKey("Send the runner's key as 'Authorization: Bearer KEY'.", param="Authorization")
            found = _digests([value[len(_BEARER) :] for value in given])
            matches = [hmac.compare_digest(one, other) for one in right for other in found]
            if not any(matches):
                return errors.WrongKey("The key in Authorization is not the runner's.", param="Authorization")
        if any(_PICKLE in value.lower() for value in headers.getlist("Content-Type")):
            return errors.UnsupportedMediaType("A runner takes JSON over a network, and reads no pickle.")
        return None


def _digests(keys: Sequence[str]) -> list[bytes]:
    """Of one length, so that comparing them takes the same time whatever was given."""
    return [hashlib.sha256(key.encode("latin-1")).digest() for key in map(str.strip, keys) if key]


async def _answer(error: errors.LookseeError, send: Send) -> None:
    told = {"code": error.code, "message": error.message, "param": error.param, "request_id": None}
    body = json.dumps({"detail": error.message, "error": told}).encode()
    headers = [(b"content-type", b"application/json"), (b"content-length", str(len(body)).encode())]
    if error.status == errors.MissingKey.status:
        headers.append((b"www-authenticate", b"Bearer"))
    await send({"type": "http.response.start", "status": error.status, "headers": headers})
    await send({"type": "http.response.body", "body": body})
