"""A runner that is served alone, on a port: it takes JSON and reads no pickle, whatever the header says."""

from __future__ import annotations

import pickle
from pathlib import Path
from typing import Any

import httpx
import pytest

from runners.services import runner_services
from tests.support.loops import run


class _Bomb:
    """Its pickle makes a file where it is read."""

    def __init__(self, mark: Path) -> None:
        self.mark = mark

    def __reduce__(self) -> Any:
        return (open, (str(self.mark), "w"))


@pytest.fixture(scope="module", params=[True, False], ids=["alone", "as a part of a service"])
def app(request: pytest.FixtureRequest) -> Any:
    """BentoML would take pickles from a network in the second case (`bentoml start-http-server`)."""
    found: Any = runner_services()["blip"].to_asgi(is_main=request.param)
    # Its metrics can be made once in a process.
    found.user_middleware = [one for one in found.user_middleware if "Metrics" not in one.cls.__name__]
    return found


@pytest.mark.parametrize("path", ["/infer", "/cancel", "/status", "/load", "/unload"])
@pytest.mark.parametrize("kind", ["application/vnd.bentoml+pickle", "application/vnd.bentoml+pickle; charset=utf-8"])
def test_a_pickle_is_refused(kind: str, path: str, app: Any, tmp_path: Path) -> None:
    mark = tmp_path / "mark"

    async def main() -> httpx.Response:
        transport = httpx.ASGITransport(app, raise_app_exceptions=False)
        async with httpx.AsyncClient(transport=transport, base_url="http://runner") as client:
            return await client.post(path, content=pickle.dumps(_Bomb(mark)), headers={"Content-Type": kind})

    assert run(main()).status_code == 415
    assert not mark.exists()
