"""Each way in which the service can be asked."""

from __future__ import annotations

from dataclasses import dataclass

from tools.soak import clients, container
from tools.soak.exchange import ONE, TEXT, Ask
from tools.soak.questions import CAPTION, CHAT, FLAG, TOGETHER


@dataclass(frozen=True)
class Dialect:
    """A way to ask: the kinds of question that it has, how many go into one request, and whether of one model alone."""

    name: str
    kinds: frozenset[str]
    ask: Ask
    most: int = 1
    one_model: bool = True


DIALECTS = (
    Dialect("native", ONE, container.native),
    Dialect("upload", ONE, container.upload),
    Dialect("form", frozenset({CAPTION}), container.form, most=6),
    Dialect("form with a flag", frozenset({FLAG}), container.form),
    Dialect("native list", frozenset({CAPTION}), container.method, most=4),
    Dialect("native list with a flag", frozenset({FLAG}), container.method),
    Dialect("collective form", frozenset({TOGETHER}), container.together_form),
    Dialect("collective", frozenset({TOGETHER}), container.together_method),
    Dialect("chat", frozenset({CHAT}), clients.chat),
    Dialect("chat stream", frozenset({CHAT}), clients.chat_stream),
    Dialect("Ollama chat", frozenset({CHAT}), clients.ollama_chat),
    Dialect("Ollama stream", frozenset({CHAT}), clients.ollama_stream),
    Dialect("v1", ONE, clients.v1),
    Dialect("v1 stream", TEXT, clients.v1_stream),
    Dialect("batch", ONE | {TOGETHER}, clients.batch, most=8, one_model=False),
    Dialect("BentoML client", ONE, clients.bento_client),
)
