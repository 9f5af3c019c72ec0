"""Every parameter that the clients' packages can send is heeded, refused by name, or on the page as without effect."""

from __future__ import annotations

import re
from typing import Any

import httpx
import pytest

from looksee.http.dialects.ollama.requests import GenerateBody, OllamaChatBody, OllamaMessage, OllamaOptions
from looksee.http.dialects.openai import ChatBody
from tests.http.app import Doors, content
from tools.documents import client_parameters, pages
from tools.documents.client_parameters import HEEDED, NOTHING, REFUSED

STRANGE = {"an": ["odd", "value"]}
_ROW = re.compile(r"^\| `(?P<name>[\w.]+)` \| (?P<told>.+) \|$", re.MULTILINE)
MESSAGE = {"role": "user", "content": "Who?"}


def rows(page: str) -> dict[str, str]:
    """The table of parameters of a page."""
    (table,) = re.findall(r"-parameters -->\n(.*?)<!-- /", (pages.ROOT / "docs" / page).read_text(), re.DOTALL)
    return {row["name"]: row["told"] for row in _ROW.finditer(table)}


OPENAI, OLLAMA = rows("openai.md"), rows("ollama.md")


def test_every_published_name_is_in_the_tables() -> None:
    assert client_parameters.openai_parameters() == OPENAI
    assert client_parameters.ollama_parameters() == OLLAMA
    assert {"temperature", "tools", "store", "logprobs"} <= OPENAI.keys()
    assert {"images", "keep_alive", "tools", "suffix", "messages.thinking", "options.num_ctx"} <= OLLAMA.keys()


def sent_to_openai(name: str, value: Any) -> httpx.Response:
    return Doors().send("/v1/chat/completions", json={"model": "gemma", "messages": [MESSAGE], name: value})


def sent_to_ollama(name: str, value: Any) -> httpx.Response:
    room, _, own = name.rpartition(".")
    body: dict[str, Any] = {"model": "gemma", "stream": False}
    if room == "options":
        return Doors().send("/api/generate", json={**body, "prompt": "Who?", "options": {own: value}})
    if room == "messages":
        return Doors().send("/api/chat", json={**body, "messages": [{**MESSAGE, own: value}]})
    if name in (*GenerateBody.model_fields, *GenerateBody.without_effect):
        return Doors().send("/api/generate", json={**body, "prompt": "Who?", name: value})
    return Doors().send("/api/chat", json={**body, "messages": [MESSAGE], name: value})


def check(told: str, name: str, answers: Any, fields: Any) -> None:
    """That what a row tells is what happens."""
    last = name.rpartition(".")[2]
    if told == HEEDED:
        assert last in fields
        return
    if told == NOTHING:
        assert answers(name, "5m" if name == "keep_alive" else STRANGE).is_success
        return
    refused = content(answers(name, STRANGE))["error"]
    assert (refused["code"], refused["param"].rpartition(".")[2]) == ("unsupported_parameter", last)
    if client_parameters.is_conditional(told):
        for value in client_parameters.neutral_of(told):
            assert answers(name, value).is_success, value
    else:
        assert told == REFUSED


@pytest.mark.parametrize("name", OPENAI)
def test_parameters_of_openai(name: str) -> None:
    check(OPENAI[name], name, sent_to_openai, ChatBody.model_fields)


@pytest.mark.parametrize("name", OLLAMA)
def test_parameters_of_ollama(name: str) -> None:
    fields = {*GenerateBody.model_fields, *OllamaChatBody.model_fields}
    fields |= OllamaMessage.model_fields.keys() | OllamaOptions.model_fields.keys()
    check(OLLAMA[name], name, sent_to_ollama, fields)
