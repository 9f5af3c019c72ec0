"""A runner that is served alone is ready once it has preloaded its model."""

from __future__ import annotations

import asyncio
import threading
import warnings

import httpx
import pytest

from runners.services import runner_services
from tests.runners.toys import ToyLoader, configure, hold
from tests.support.loops import run


def test_it_is_ready_once_its_model_is(toys: ToyLoader, monkeypatch: pytest.MonkeyPatch) -> None:
    configure(monkeypatch, preload="blip")
    held = threading.Event()
    toys.on_load = lambda: hold(held)
    app = runner_services()["blip"].to_asgi(is_main=True)
    # Its metrics can be made once in a process.
    app.user_middleware = [one for one in app.user_middleware if "Metrics" not in one.cls.__name__]

    async def main() -> None:
        transport = httpx.ASGITransport(app, raise_app_exceptions=False)
        async with (
            app.router.lifespan_context(app),
            httpx.AsyncClient(transport=transport, base_url="http://runner") as client,
        ):
            assert (await client.get("/readyz")).status_code == 503
            held.set()
            while (await client.get("/readyz")).status_code != 200:  # noqa: ASYNC110 (a probe polls)
                await asyncio.sleep(0.02)

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of BentoML about pydantic
        run(main())
