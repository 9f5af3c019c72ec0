"""Answers as Ollama's clients read them: one object, or a line for each piece and a last one with the counts."""

from __future__ import annotations

import json
import time
from collections.abc import AsyncGenerator, Callable, Mapping
from contextlib import aclosing
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

from starlette.responses import JSONResponse, Response

from looksee.core import errors
from looksee.gateway.answering import ServedAnswer
from looksee.http.answers import sse
from looksee.http.answers.logprobs import logprobs_member
from looksee.http.answers.metadata import source
from looksee.http.answers.server_timing import server_timing
from looksee.http.apis.own_names import OwnNames

LINES = "application/x-ndjson"
DESCRIBED: dict[int | str, dict[str, Any]] = {200: {"content": {LINES: {"schema": {"description": "lines of JSON"}}}}}


@dataclass(frozen=True, slots=True)
class OllamaReply:
    """How one request is answered: `model` is the name that was asked for, `said` makes the member with the text."""

    model: str
    said: Callable[[str, str | None], dict[str, Any]]  # of a text, and the thoughts before it
    tokens: bool = False  # whether those of the text are told, each with its probability
    started: float = field(default_factory=time.monotonic)

    def whole(self, served: ServedAnswer, headers: Mapping[str, str]) -> Response:
        """One object."""
        content = self._last(served, served.answer.text)
        return JSONResponse(content, headers={**server_timing([served]), **headers})

    def streamed(
        self,
        pieces: AsyncGenerator[str | ServedAnswer, None],
        own: OwnNames,
        *,
        every: float,
        headers: Mapping[str, str],
    ) -> Response:
        """A line for each piece, and after so many seconds without one a space before the next."""
        return sse.response(self._lines(pieces, own), every=every, beat=b" ", media_type=LINES, headers=headers)

    def nothing(self, reason: str) -> Response:
        """The answer to a request that asks nothing."""
        return JSONResponse({**self._head(), **self.said("", None), "done": True, "done_reason": reason})

    async def _lines(
        self, pieces: AsyncGenerator[str | ServedAnswer, None], own: OwnNames
    ) -> AsyncGenerator[bytes, None]:
        try:
            async with aclosing(pieces):
                async for piece in pieces:
                    if isinstance(piece, str):
                        if piece:
                            yield _line({**self._head(), **self.said(piece, None), "done": False})
                        continue
                    yield _line(self._last(piece, ""))
        except errors.LookseeError as error:
            yield _line({"error": own.of(error).message, "code": error.code})

    def _head(self) -> dict[str, Any]:
        return {"model": self.model, "created_at": datetime.now(UTC).isoformat().replace("+00:00", "Z")}

    def _last(self, served: ServedAnswer, text: str) -> dict[str, Any]:
        answer, timing = served.answer, served.timing
        thoughts = answer.reasoning.text if answer.reasoning else None
        return {
            **self._head(),
            **self.said(text, thoughts),
            **({"logprobs": logprobs_member(answer)["content"]} if self.tokens else {}),
            "done": True,
            "done_reason": answer.finish,
            "total_duration": _nanoseconds(time.monotonic() - self.started),
            "load_duration": _nanoseconds(timing.queue),
            "prompt_eval_count": answer.prompt_tokens,
            "prompt_eval_duration": _nanoseconds(timing.prepare),
            "eval_count": answer.new_tokens,
            "eval_duration": _nanoseconds(timing.compute),
            **{name: value for name, value in source(served).items() if name != "model"},
        }


def generated(text: str, thoughts: str | None) -> dict[str, Any]:
    """The text of `/api/generate`."""
    return {"response": text, **({} if thoughts is None else {"thinking": thoughts})}


def message(text: str, thoughts: str | None) -> dict[str, Any]:
    """The text of `/api/chat`."""
    return {"message": {"role": "assistant", "content": text, **({} if thoughts is None else {"thinking": thoughts})}}


def _line(content: dict[str, Any]) -> bytes:
    return json.dumps(content, separators=(",", ":")).encode() + b"\n"


def _nanoseconds(seconds: float) -> int:
    return round(seconds * 1e9)
