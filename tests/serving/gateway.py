"""The whole gateway in this process: native methods, app and edge, with models that answer at once."""

from __future__ import annotations

import warnings
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import httpx

from looksee.gateway.runners.client import RunnerClient
from looksee.serving.gateway_service import gateway_service
from looksee.settings import Settings
from tests.http.app import Doors
from tests.support.loops import run


class _NoRedis:
    """What the gateway needs of a Redis that is not there."""

    client = None

    async def call(self, _: Any) -> None:
        return None

    async def close(self) -> None:
        return None


class Gateway:
    """A gateway with these settings; `runners` have the calls that reached the models, by their names."""

    def __init__(self, **settings: Any) -> None:
        self.doors = Doors(**settings)
        service = gateway_service(
            Settings.model_construct(**settings), self.doors.answering, {}, _NoRedis(), on_start=lambda: None
        )
        self.paths = {method.route for method in service.apis.values()}  # of the native methods
        self.app: Any = service.to_asgi()
        app = self._bentoml()
        # Its metrics can be made once in a process.
        app.user_middleware = [one for one in app.user_middleware if "Metrics" not in one.cls.__name__]

    def _bentoml(self) -> Any:
        """BentoML's app, which stands inside."""
        inner = self.app
        while not hasattr(inner, "router"):
            inner = inner.app
        return inner

    @asynccontextmanager
    async def client(self) -> AsyncIterator[httpx.AsyncClient]:
        inner = self._bentoml()
        async with inner.router.lifespan_context(inner):
            self.doors.answering.runners = {
                name: RunnerClient(name, proxy) for name, proxy in self.doors.proxies.items()
            }
            transport = httpx.ASGITransport(self.app, raise_app_exceptions=False)
            async with httpx.AsyncClient(transport=transport, base_url="http://looksee") as client:
                yield client

    def send(self, method: str, path: str, **options: Any) -> httpx.Response:
        async def main() -> httpx.Response:
            async with self.client() as client:
                return await client.request(method, f"http://looksee{path}", **options)

        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of BentoML about pydantic
            return run(main())
