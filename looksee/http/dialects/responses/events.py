"""A response as its events: each says what it is and which number it has."""

from __future__ import annotations

import itertools
from collections.abc import AsyncGenerator, Mapping, Sequence
from contextlib import aclosing
from typing import Any

from looksee.core import errors
from looksee.gateway.answering import ServedAnswer
from looksee.http import error_responses
from looksee.http.answers import sse
from looksee.http.apis.own_names import OwnNames
from looksee.http.dialects.responses.replies import ResponseReply, part, status_of


async def events(
    reply: ResponseReply, pieces: AsyncGenerator[str | ServedAnswer, None], names: OwnNames
) -> AsyncGenerator[bytes, None]:
    """The events of an answer in pieces.

    Thoughts are items before the answer, and known at its end: with them nothing of it is told before that.
    """
    written = _Written(reply)
    told: list[str] = []  # the text so far
    try:
        async with aclosing(pieces):
            yield written.begun()
            if not reply.options.reasoning:
                yield written.opened()
            async for piece in pieces:
                if not isinstance(piece, str):
                    yield written.ended(piece, "".join(told))
                elif piece:
                    told.append(piece)
                    if not reply.options.reasoning:
                        yield written.more(piece)
    except errors.LookseeError as error:
        yield written.failed(names.of(error))


class _Written:
    """The events of one response, in their order."""

    def __init__(self, reply: ResponseReply) -> None:
        self._reply, self._numbers = reply, itertools.count()
        self._index = 0  # of the item that is being written

    def begun(self) -> bytes:
        response = self._reply.started()
        return self._event("response.created", response=response) + self._event(
            "response.in_progress", response=response
        )

    def opened(self) -> bytes:
        """The item of the answer begins."""
        added = self._added(self._reply.item(None, "in_progress"))
        return added if self._reply.function is not None else added + self._part("added", part(""))

    def more(self, piece: str) -> bytes:
        if self._reply.function is not None:
            return self._of_item("response.function_call_arguments.delta", delta=piece)
        return self._of_text("response.output_text.delta", delta=piece)

    def ended(self, served: ServedAnswer, text: str) -> bytes:
        """The end of the item and of the response; the whole item too, where thoughts come before it."""
        answer, found = served.answer, b""
        if self._reply.options.reasoning:
            if answer.reasoning is not None:
                found += self._thoughts(answer.reasoning.text)
            found += self.opened() + (self.more(text) if text else b"")
        status = status_of(answer)
        if self._reply.function is not None:
            found += self._of_item("response.function_call_arguments.done", name=self._reply.function, arguments=text)
        else:
            told = self._reply.logprobs(answer)
            found += self._of_text("response.output_text.done", text=text, logprobs=_bare(told))
            found += self._part("done", part(text, told))
        found += self._done(self._reply.item(text, status, self._reply.logprobs(answer)))
        return found + self._event(f"response.{status}", response=self._reply.finished(served))

    def failed(self, error: errors.LookseeError) -> bytes:
        """The response as it is, and the error, which the packages raise by its member `error`."""
        known = error_responses.body(error)["error"]
        found = self._event("response.failed", response=self._reply.failed(error))
        return found + self._event("error", code=error.code, message=known["message"], param=error.param, error=known)

    def _thoughts(self, text: str) -> bytes:
        """The item of the thoughts, whole."""
        item, thought = self._reply.thoughts(text), {"type": "reasoning_text", "text": text}
        place = {"item_id": item["id"], "output_index": self._index}
        found = self._added({**item, "status": "in_progress", "summary": [], "content": []})
        for summary in item["summary"]:
            about = {**place, "summary_index": 0}
            found += self._event("response.reasoning_summary_part.added", **about, part={**summary, "text": ""})
            found += self._event("response.reasoning_summary_text.delta", **about, delta=text)
            found += self._event("response.reasoning_summary_text.done", **about, text=text)
            found += self._event("response.reasoning_summary_part.done", **about, part=summary)
        place["content_index"] = 0
        found += self._event("response.content_part.added", **place, part={**thought, "text": ""})
        found += self._event("response.reasoning_text.delta", **place, delta=text)
        found += self._event("response.reasoning_text.done", **place, text=text)
        found += self._event("response.content_part.done", **place, part=thought)
        found += self._done(item)
        self._index += 1
        return found

    def _added(self, item: dict[str, Any]) -> bytes:
        return self._event("response.output_item.added", output_index=self._index, item=item)

    def _done(self, item: dict[str, Any]) -> bytes:
        return self._event("response.output_item.done", output_index=self._index, item=item)

    def _part(self, what: str, content: dict[str, Any]) -> bytes:
        return self._of_item(f"response.content_part.{what}", content_index=0, part=content)

    def _of_text(self, kind: str, **members: Any) -> bytes:
        return self._of_item(kind, content_index=0, **{"logprobs": [], **members})

    def _of_item(self, kind: str, **members: Any) -> bytes:
        return self._event(kind, item_id=self._reply.item_id, output_index=self._index, **members)

    def _event(self, kind: str, **members: Any) -> bytes:
        return sse.event(kind, {"type": kind, "sequence_number": next(self._numbers), **members})


def _bare(told: Sequence[Mapping[str, Any]]) -> list[dict[str, Any]]:
    """Tokens as events have them: without bytes."""
    return [
        {
            **{name: token[name] for name in ("token", "logprob")},
            "top_logprobs": [{name: other[name] for name in ("token", "logprob")} for other in token["top_logprobs"]],
        }
        for token in told
    ]
