"""The response of an answer, in all its states."""

from __future__ import annotations

import secrets
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from looksee.core import errors
from looksee.core.tasks import Answer, Sampling
from looksee.gateway.answering import ServedAnswer
from looksee.http.answers.logprobs import logprobs_member
from looksee.http.answers.metadata import source
from looksee.http.apis.chat import ChatOptions
from looksee.http.dialects.responses.requests import ResponsesBody

Item = dict[str, Any]
# What the API's own list has for an error; other errors are `server_error` there.
_CODES = {"overloaded": "rate_limit_exceeded", "rate_limited": "rate_limit_exceeded", "corrupt_image": "invalid_image"}


def _named(kind: str) -> Any:
    return field(default_factory=lambda: f"{kind}_{secrets.token_hex(12)}")


@dataclass(frozen=True, slots=True)
class ResponseReply:
    """How one request is answered: `function` is the one that has to be called, if any."""

    body: ResponsesBody
    model: str
    options: ChatOptions
    sampling: Sampling
    function: str | None = None
    created: float = field(default_factory=lambda: float(int(time.time())))
    id: str = _named("resp")
    thoughts_id: str = _named("rs")
    call_id: str = _named("call")
    message_id: str = _named("msg")

    @property
    def item_id(self) -> str:
        """Of the message or the call."""
        return self.message_id if self.function is None else self.message_id.replace("msg", "fc")

    def started(self) -> Item:
        """Before there is anything."""
        return self._shown("in_progress", ())

    def finished(self, served: ServedAnswer) -> Item:
        """The whole; `incomplete` where the answer was cut."""
        answer, status = served.answer, status_of(served.answer)
        about = {name: value for name, value in source(served).items() if name not in ("finish_reason", "model")}
        return {
            **self._shown(status, self.output(answer)),
            "incomplete_details": None if status == "completed" else {"reason": "max_output_tokens"},
            "completed_at": float(int(time.time())) if status == "completed" else None,
            "usage": {
                "input_tokens": answer.prompt_tokens,
                "input_tokens_details": {"cached_tokens": 0, "cache_write_tokens": 0},
                "output_tokens": answer.new_tokens,
                "output_tokens_details": {"reasoning_tokens": 0},
                "total_tokens": answer.prompt_tokens + answer.new_tokens,
            },
            **about,
        }

    def failed(self, error: errors.LookseeError) -> Item:
        """What was begun and broke off."""
        code = _CODES.get(error.code, "server_error")
        return {**self._shown("failed", ()), "error": {"code": code, "message": error.message}}

    def output(self, answer: Answer) -> list[Item]:
        """The items of an answer: its thoughts, and what it says or calls."""
        thought = [] if answer.reasoning is None else [self.thoughts(answer.reasoning.text)]
        return [*thought, self.item(answer.text, status_of(answer), self.logprobs(answer))]

    def logprobs(self, answer: Answer) -> list[Item]:
        """Those of the text's tokens, where they are asked for."""
        found: list[Item] = [] if self.body.told is None else logprobs_member(answer)["content"]
        return found

    def thoughts(self, text: str) -> Item:
        """The thoughts before the answer. Where a summary is asked for they are that too."""
        summary = [{"type": "summary_text", "text": text}] if self._summary else []
        content = [{"type": "reasoning_text", "text": text}]
        return {
            "id": self.thoughts_id,
            "type": "reasoning",
            "status": "completed",
            "summary": summary,
            "content": content,
        }

    def item(self, text: str | None, status: str, logprobs: Sequence[Item] = ()) -> Item:
        """The message, or the call with `text` as its arguments; None: before its first piece."""
        if self.function is not None:
            about = {"id": self.item_id, "type": "function_call", "status": status}
            return {**about, "call_id": self.call_id, "name": self.function, "arguments": text or ""}
        content = [] if text is None else [part(text, logprobs)]
        return {"id": self.item_id, "type": "message", "status": status, "role": "assistant", "content": content}

    @property
    def _summary(self) -> str | None:
        """The summary that is asked for."""
        reasoning = self.body.reasoning
        return None if reasoning is None else reasoning.summary or reasoning.generate_summary

    def _shown(self, status: str, output: Sequence[Item]) -> Item:
        body = self.body
        wanted, reasoning = body.format, body.reasoning
        return {
            "id": self.id,
            "object": "response",
            "created_at": self.created,
            "completed_at": None,
            "status": status,
            "background": False,
            "error": None,
            "incomplete_details": None,
            "instructions": body.instructions,
            "max_output_tokens": self.options.max_new_tokens,
            "max_tool_calls": None,
            "metadata": body.metadata or {},
            "model": self.model,
            "output": list(output),
            "parallel_tool_calls": True if body.parallel_tool_calls is None else body.parallel_tool_calls,
            "previous_response_id": None,
            "reasoning": {"effort": None if reasoning is None else reasoning.effort, "summary": self._summary},
            "service_tier": "default",
            "store": False,
            "temperature": self.sampling.temperature,
            "text": {"format": {"type": "text"} if wanted is None else wanted.shown(), "verbosity": "medium"},
            "tool_choice": body.tool_choice or "auto",
            "tools": body.tools or [],
            "top_logprobs": body.top_logprobs or 0,
            "top_p": self.sampling.top_p,
            "truncation": "disabled",
            "usage": None,
            "user": body.user,
        }


def status_of(answer: Answer) -> str:
    """An empty answer came to its end; one that repeated itself was cut."""
    return "completed" if answer.finish in ("stop", "empty") else "incomplete"


def part(text: str, logprobs: Sequence[Item] = ()) -> Item:
    """The one part of a message."""
    return {"type": "output_text", "text": text, "annotations": [], "logprobs": list(logprobs)}
