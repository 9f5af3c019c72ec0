"""What becomes of every parameter that the clients' own packages can send to the OpenAI chat and to Ollama's API.

The names are the packages', which are installed for tests; what becomes of them is the code's.
"""

from __future__ import annotations

import json
from typing import Any

import ollama._types as published
from openai.types.chat.completion_create_params import (
    CompletionCreateParamsNonStreaming,
    CompletionCreateParamsStreaming,
)
from pydantic import BaseModel

from looksee.http.dialects.ollama import requests as of_ollama
from looksee.http.dialects.openai import ChatBody
from looksee.http.inputs import neutral_values

HEEDED, NOTHING, REFUSED = "heeded", "changes nothing", "refused"
_ONLY = "refused unless "


def openai_parameters() -> dict[str, str]:
    """Of `POST /v1/chat/completions`."""
    names = CompletionCreateParamsNonStreaming.__annotations__ | CompletionCreateParamsStreaming.__annotations__
    return {name: _heeded(ChatBody, name) or _neutral(name) for name in sorted(names)}


def ollama_parameters() -> dict[str, str]:
    """Of `POST /api/generate` and `/api/chat`; those of messages and options with a prefix."""
    found: dict[str, str] = {}
    for theirs, ours in (
        (published.GenerateRequest, of_ollama.GenerateBody),
        (published.ChatRequest, of_ollama.OllamaChatBody),
    ):
        for name in theirs.model_fields:
            found[name] = _heeded(ours, name) or _left_out(ours, name)
    for name in published.Message.model_fields:
        message = of_ollama.OllamaMessage
        told = _unless(([],)) if name == "tool_calls" else NOTHING if name in message.without_effect else REFUSED
        found[f"messages.{name}"] = _heeded(message, name) or told
    for name in (*published.Options.model_fields, "min_p"):  # which its documentation has beside the package's
        nothing = name in of_ollama.OPTIONS_WITHOUT_EFFECT
        found[f"options.{name}"] = NOTHING if nothing else _heeded(of_ollama.OllamaOptions, name) or _neutral(name)
    return dict(sorted(found.items()))


def openai_table() -> str:
    return _table(openai_parameters())


def ollama_table() -> str:
    return _table(ollama_parameters())


def neutral_of(told: str) -> list[Any]:
    """The values that a row says are taken."""
    return [json.loads(value) for value in told.removeprefix(_ONLY).strip("`").split("` or `")]


def is_conditional(told: str) -> bool:
    """Whether some values are taken, and others are not."""
    return told.startswith(_ONLY)


def _heeded(kind: type[BaseModel], name: str) -> str:
    if name not in kind.model_fields:
        return ""
    description = kind.model_fields[name].description or ""
    return NOTHING if description.startswith("without effect") else HEEDED


def _left_out(kind: type[of_ollama.OllamaBody], name: str) -> str:
    if name in kind.not_here:
        return _unless(kind.not_here[name])
    return NOTHING if name in kind.without_effect else REFUSED


def _neutral(name: str) -> str:
    values = neutral_values.values(name)
    return NOTHING if values is None else _unless(values)


def _unless(values: tuple[Any, ...]) -> str:
    return _ONLY + " or ".join(f"`{json.dumps(value)}`" for value in values) if values else REFUSED


def _table(found: dict[str, str]) -> str:
    rows = [f"| `{name}` | {told} |" for name, told in found.items()]
    return "\n".join(["| parameter | what becomes of it |", "|---|---|", *rows])
