"""An answer as a message, whole or as its events."""

from __future__ import annotations

import json
import secrets
from collections.abc import AsyncGenerator
from contextlib import aclosing
from dataclasses import dataclass, field
from typing import Any

from looksee.core import errors
from looksee.core.tasks import Answer
from looksee.gateway.answering import ServedAnswer
from looksee.http import error_responses
from looksee.http.answers import sse
from looksee.http.answers.metadata import source
from looksee.http.apis.own_names import OwnNames


def _named(kind: str) -> Any:
    return field(default_factory=lambda: f"{kind}_{secrets.token_hex(12)}")


@dataclass(frozen=True, slots=True)
class MessageReply:
    """How one request is answered: `tool` is the one that has to be used, if any."""

    model: str
    tool: str | None = None
    thinks: bool = False
    id: str = _named("msg")
    call_id: str = _named("toolu")

    def whole(self, served: ServedAnswer) -> dict[str, Any]:
        """The message. Raises StructuredOutputFailed for a use of a tool that was cut."""
        answer = served.answer
        thought = [] if answer.reasoning is None else [_thought(answer.reasoning.text)]
        about = {name: value for name, value in source(served).items() if name not in ("finish_reason", "model")}
        return {**self._message([*thought, self._block(answer.text)], self._ending(answer), _usage(answer)), **about}

    async def events(
        self, pieces: AsyncGenerator[str | ServedAnswer, None], names: OwnNames
    ) -> AsyncGenerator[bytes, None]:
        """The events of an answer in pieces. Thoughts are known at its end: with them nothing is told before that.

        The tokens of the question too: the last event but one has them.
        """
        told: list[str] = []
        try:
            async with aclosing(pieces):
                begun = self._message([], {"stop_reason": None, "stop_sequence": None}, _usage(None))
                yield _event("message_start", message=begun)
                if not self.thinks:
                    yield self._opened(0)
                async for piece in pieces:
                    if not isinstance(piece, str):
                        yield self._ended(piece.answer, "".join(told))
                    elif piece:
                        told.append(piece)
                        if not self.thinks:
                            yield self._more(0, piece)
        except errors.LookseeError as error:
            yield sse.event("error", error_responses.enveloped(names.of(error)))

    def _message(self, content: list[dict[str, Any]], ending: dict[str, Any], usage: dict[str, Any]) -> dict[str, Any]:
        about = {"id": self.id, "type": "message", "role": "assistant", "model": self.model}
        return {**about, "content": content, **ending, "usage": usage}

    def _block(self, text: str) -> dict[str, Any]:
        if self.tool is None:
            return {"type": "text", "text": text, "citations": None}
        try:
            arguments = json.loads(text)
        except ValueError:
            raise errors.StructuredOutputFailed(
                "The use of the tool was cut; allow more tokens.", param="max_tokens"
            ) from None
        return {"type": "tool_use", "id": self.call_id, "name": self.tool, "input": arguments}

    def _ending(self, answer: Answer) -> dict[str, Any]:
        """How it ended. Which stop sequence ended it is not known: that is an end as any."""
        reason = (
            "max_tokens" if answer.finish in ("length", "loop") else "end_turn" if self.tool is None else "tool_use"
        )
        return {"stop_reason": reason, "stop_sequence": None}

    def _opened(self, index: int) -> bytes:
        block = self._block("" if self.tool is None else "{}")
        return _event("content_block_start", index=index, content_block=block)

    def _more(self, index: int, piece: str) -> bytes:
        if self.tool is None:
            return _delta(index, "text_delta", text=piece)
        return _delta(index, "input_json_delta", partial_json=piece)

    def _ended(self, answer: Answer, text: str) -> bytes:
        index, found = 0, b""
        if self.thinks:
            if answer.reasoning is not None:
                found += _event("content_block_start", index=0, content_block=_thought(""))
                found += _delta(0, "thinking_delta", thinking=answer.reasoning.text)
                found += _delta(0, "signature_delta", signature="")
                found += _event("content_block_stop", index=0)
                index = 1
            found += self._opened(index) + (self._more(index, text) if text else b"")
        found += _event("content_block_stop", index=index)
        found += _event("message_delta", delta=self._ending(answer), usage=_usage(answer))
        return found + _event("message_stop")


def _thought(text: str) -> dict[str, Any]:
    return {"type": "thinking", "thinking": text, "signature": ""}


def _usage(answer: Answer | None) -> dict[str, Any]:
    """The tokens of an answer, none before it."""
    return {
        "input_tokens": 0 if answer is None else answer.prompt_tokens,
        "output_tokens": 0 if answer is None else answer.new_tokens,
        "cache_creation_input_tokens": 0,
        "cache_read_input_tokens": 0,
    }


def _delta(index: int, kind: str, **members: Any) -> bytes:
    return _event("content_block_delta", index=index, delta={"type": kind, **members})


def _event(kind: str, **members: Any) -> bytes:
    return sse.event(kind, {"type": kind, **members})
