"""The gateway: `bentoml serve` starts it, and a process for each model beside it."""

from __future__ import annotations

import os
from typing import Any

# BentoML reports usage to its vendor unless told not to, before it first looks.
os.environ.setdefault("BENTOML_DO_NOT_TRACK", "True")

import bentoml
from _bentoml_sdk import Service
from starlette.applications import Starlette

from api import moondream
from api.app import build
from api.door import Door
from cache.lookaside import Lookaside
from gateway.desk import Desk
from gateway.runners import RunnerClient
from runners.blip import Blip
from settings import settings

_SETTINGS = settings()
_DESK = Desk({}, Lookaside(_SETTINGS.redis(), ttl=_SETTINGS.cache_ttl_seconds, timeout=_SETTINGS.cache_timeout_ms / 1000))


class Gateway(Service[Any]):
    """A BentoML service whose app stands behind our door."""

    def to_asgi(self, is_main: bool = True) -> Any:
        app: Starlette = super().to_asgi(is_main=is_main)
        # Our routes come first, so that /healthz, /readyz and / are ours. BentoML's own page (it loads a tracker) and
        # its directory of static files (it would match any path) are left out.
        (ours,) = [route for route in app.router.routes if route.name == "http"]
        theirs = [route for route in app.router.routes if route.name not in ("http", "index", "static_content")]
        app.router.routes[:] = [ours, *theirs]
        return Door(app, max_body=_SETTINGS.max_request_bytes)


@bentoml.service(
    name="Looksee",
    service_class=Gateway,
    http={"port": _SETTINGS.port},
    traffic={"timeout": 130},  # above the runners' 120, above our own deadline, so that ours is the one that answers
    runner_probe={"enabled": False},
)
@bentoml.asgi_app(build(_DESK, _SETTINGS), path="/", name="http")
class Looksee:
    """Captions for your pictures, on your own machine."""

    blip = bentoml.depends(Blip, url=_SETTINGS.blip.url or None)

    def __init__(self) -> None:
        _DESK.runners = {"blip": RunnerClient("blip", self.blip)}

    @bentoml.api(route="/caption")
    async def caption(
        self, image: str, ctx: bentoml.Context, length: str = "normal", model: str = "blip", prompt: str = ""
    ) -> Any:
        """Caption one picture, given as base64 or a data URI."""
        answer = await moondream.caption(
            _DESK, _SETTINGS, ctx.request.receive, image=image, length=length, model=model, prompt=prompt
        )
        ctx.response.status_code = answer.status_code  # BentoML puts the context's status on every answer
        return answer

    @bentoml.on_shutdown
    async def close(self) -> None:
        await _DESK.cache.close()
