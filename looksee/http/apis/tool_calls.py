"""A forced call of a function, as the OpenAI API has it in a message and in the pieces of a stream."""

from __future__ import annotations

import secrets
from typing import Any

from looksee.core.tasks import Finish
from looksee.http.inputs.chat.tools import ForcedFunction


def message(called: ForcedFunction, arguments: str) -> dict[str, Any]:
    """The members of a message."""
    return {"content": None, "tool_calls": [_call(called, arguments)]}


def beginning(called: ForcedFunction) -> dict[str, Any]:
    """The members of a stream's first delta."""
    return {"content": None, "tool_calls": [{"index": 0, **_call(called, "")}]}


def piece(arguments: str) -> dict[str, Any]:
    """A delta with more of the arguments."""
    return {"tool_calls": [{"index": 0, "function": {"arguments": arguments}}]}


def finish(called: ForcedFunction, reason: Finish) -> str:
    """The `finish_reason`: the API says stop of a function that the request named, and tool_calls of another."""
    return "tool_calls" if reason == "stop" and not called.named else reason


def _call(called: ForcedFunction, arguments: str) -> dict[str, Any]:
    return {
        "id": f"call_{secrets.token_hex(12)}",
        "type": "function",
        "function": {"name": called.name, "arguments": arguments},
    }
