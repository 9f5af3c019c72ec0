"""The doors with a desk behind them, and models that say what a test wants to hear."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any, cast

import httpx
from fastapi import FastAPI
from starlette.requests import Request
from starlette.responses import Response

from looksee.core import errors
from looksee.core.geometry import Box, Point
from looksee.core.scoring.tokens import TokenChance, TokenScore
from looksee.core.tasks import Answer, Failure, Job, Reply, Task, Timing
from looksee.gateway.answering import AnsweringService
from looksee.gateway.runners.client import RunnerClient
from looksee.http import app
from looksee.http.context import ContextFactory, RequestContext
from looksee.http.dialects import bento_methods
from looksee.http.disconnect import Receive, never_disconnected
from looksee.http.skills import CaptionSkill, ClassifySkill, DetectSkill, PointSkill, QuerySkill, Skill
from looksee.models.registry import REGISTRY
from looksee.settings import Settings
from tests.gateway.memory_cache import Shelf
from tests.gateway.proxy import IDENTITY, FakeProxy
from tests.support.loops import run

Said = str | Answer | errors.LookseeError

BOXES = (Box(0.25, 0.5, 0.75, 1.0), Box(0.0, 0.0, 1 / 3, 0.1))
POINTS = (Point(0.5, 0.75), Point(1 / 3, 0.05))
_PLAIN: dict[Task, Said] = {
    Task.CAPTION: "a red circle",
    Task.COLLECTIVE: "a red circle; a blue square",
    Task.QUERY: "yes",
    Task.DETECT: Answer("", "stop", 1, 7, boxes=BOXES),
    Task.POINT: Answer("", "stop", 1, 5, points=POINTS),
}


def _plainly(job: Job) -> Said:
    if job.grammar is not None and job.grammar.kind == "given":  # a label: the shorter, the likelier
        told = TokenScore(TokenChance(job.grammar.text.encode(), -float(len(job.grammar.text))))
        return Answer(job.grammar.text, "stop", 1, 1, tokens=(told,))
    return _PLAIN[job.task]


class Doors:
    """All dialects over one answering service. `says` is what every model answers; `proxies` are the models by name."""

    def __init__(self, says: Callable[[Job], Said] = _plainly, **settings: Any) -> None:
        self.settings = Settings.model_construct(**settings)
        self.proxies = {
            name: FakeProxy(identity=replace(IDENTITY, model=name), answer=lambda job: _answer(says(job)))
            for name in REGISTRY
        }
        self.shelf = Shelf()
        self.answering = AnsweringService(
            {name: RunnerClient(name, proxy) for name, proxy in self.proxies.items()}, self.shelf
        )

    @property
    def app(self) -> FastAPI:
        """The app over this answering service, until other doors with the same settings ask for theirs."""
        current, built = next((one for settings, one in _APPS if settings == self.settings), (None, None))
        if current is None or built is None:
            current = _CurrentGateway()
            built = app.build(cast(AnsweringService, current), self.settings)
            _APPS.append((self.settings, (current, built)))
        current.gateway = self.answering
        return built

    def calls(self, model: str) -> list[list[Job]]:
        """The jobs of each call to a model's runner."""
        return [call.jobs for call in self.proxies[model].calls]

    def post(self, path: str, *files: tuple[str, bytes], **params: Any) -> httpx.Response:
        """A multipart request with several pictures."""
        return self.send(path, params=params, files=[("images", file) for file in files])

    def upload(
        self, task: Task | str, data: bytes, /, *, params: Mapping[str, Any] = {}, **fields: Any
    ) -> httpx.Response:
        """A multipart request with one picture and other fields."""
        return self.send(f"/upload/{task}", params=params, files={"file": ("a.png", data)}, data=fields)

    def send(self, path: str, **options: Any) -> httpx.Response:
        """Any POST."""

        async def main() -> httpx.Response:
            transport = httpx.ASGITransport(self.app, raise_app_exceptions=False)
            async with httpx.AsyncClient(transport=transport, base_url="http://looksee") as client:
                return await client.post(path, **options)

        return run(main())

    def captions(self, *files: tuple[str, bytes], **params: Any) -> httpx.Response:
        return self.post("/api/caption-images", *files, **params)

    def collective(self, *files: tuple[str, bytes], **params: Any) -> httpx.Response:
        return self.post("/api/caption-collective-images", *files, **params)

    def native(self, task: Task, **body: Any) -> Response:
        """The native API for several pictures."""
        options: dict[str, Any] = {"caption_prompt": "", "flag_caption_prompt": "", **body}
        return run(bento_methods.answered(bento_methods.answer(self.context(), task, **options)))

    def context(self) -> RequestContext:
        """The context of a request whose client stays connected."""
        return ContextFactory(self.answering, self.settings).of(never_disconnected)

    def caption(self, **body: Any) -> Response:
        return self._about_one(CaptionSkill, "", **body)

    def query(self, **body: Any) -> Response:
        return self._about_one(QuerySkill, "", **body)

    def detect(self, query: str = "", **body: Any) -> Response:
        return self._about_one(DetectSkill, query, **body)

    def point(self, query: str = "", **body: Any) -> Response:
        return self._about_one(PointSkill, query, **body)

    def classify(self, **body: Any) -> Response:
        return self._about_one(ClassifySkill, "", **body)

    def _about_one(
        self, skill: type[Skill], query: str, *, image: str, model: str = "moondream", **body: Any
    ) -> Response:
        """The native API for one picture."""
        request = Request({"type": "http", "query_string": query.encode()}, never_disconnected)
        return run(
            bento_methods.answered(bento_methods.about_one(self.context(), request, model, skill(**body), image))
        )


class _CurrentGateway:
    """The answering service of the doors that asked last: an app takes far longer to build than a test to run."""

    gateway: AnsweringService

    def __getattr__(self, name: str) -> Any:
        return getattr(self.gateway, name)


_APPS: list[tuple[Settings, tuple[_CurrentGateway, FastAPI]]] = []


def context(settings: Settings, receive: Receive = never_disconnected) -> RequestContext:
    """A context with nobody to ask."""
    return RequestContext(AnsweringService({}, Shelf()), settings, receive)


def content(answer: Response | httpx.Response) -> Any:
    return answer.json() if isinstance(answer, httpx.Response) else json.loads(bytes(answer.body))


def error(answer: Response | httpx.Response) -> tuple[int, str, str | None]:
    """Status, code and parameter, after checking the shape."""
    body: Mapping[str, Any] = content(answer)
    assert set(body["error"]) == {"code", "message", "type", "param", "request_id"}
    assert body["detail"] == body["error"]["message"]
    return answer.status_code, body["error"]["code"], body["error"]["param"]


def _answer(said: Said) -> Reply:
    if isinstance(said, errors.LookseeError):
        return Reply(failure=Failure.of(said))
    outcome = said if isinstance(said, Answer) else Answer(said, "stop", 1, 2)
    return Reply(outcome, None, Timing(0.1, 0.2, 0.3, 4.0))
