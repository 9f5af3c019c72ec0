"""A chat for a model that takes one question: its other turns are put into the question, where the words allow it.

Moondream2 is asked in plain sentences, so a system's instructions stand before the question. BLIP-2's authors ask it
about one picture several times by writing the earlier questions and answers before the last one. The sample weights
have learnt neither, and answered wrongly more often than not when it was tried: there such a chat is left as it is, and
refused.
"""

from __future__ import annotations

from dataclasses import replace

from looksee.core.tasks import Turn
from looksee.http.skills.conversation import Conversation
from looksee.models.registry import REGISTRY, ModelSpec
from looksee.models.weights.source import resolve
from looksee.settings import Settings


def folded(conversation: Conversation, model: str, settings: Settings) -> Conversation:
    """The conversation as the user's turn alone; as it is where it has no other, or the words do not allow it."""
    spec = REGISTRY.get(model)
    if spec is None or spec.chats or len(conversation.turns) == 1:
        return conversation
    if resolve(model, settings.weights, settings.model(model).weights).kind == "sample":
        return conversation
    told = [_words(turn) for turn in conversation.turns if turn.role == "system"]
    question = _question(spec, [turn for turn in conversation.turns if turn.role != "system"])
    if not question or (told and not spec.instructed):
        return conversation
    pictures: list[str | None] = [None] * len(conversation.urls)
    last = Turn("user", (*pictures, "\n".join([*told, question])))
    return replace(conversation, turns=(last,), messages=conversation.messages[-1:])


def _question(spec: ModelSpec, turns: list[Turn]) -> str:
    """The last turn's question, behind the earlier ones with their answers; empty where that cannot be said."""
    *earlier, last = turns
    if not earlier:
        return _words(last)
    alternate = all(turn.role == ("user", "assistant")[place % 2] for place, turn in enumerate(turns))
    if not spec.chained or not alternate or not all(map(_words, turns)):
        return ""
    before, behind = spec.question_format.split("{question}")
    pairs = zip(earlier[::2], earlier[1::2], strict=True)
    said = [(_words(asked), _words(answered).rstrip(".")) for asked, answered in pairs]
    return "".join(f"{asked}{behind} {answered}. {before}" for asked, answered in said) + _words(last)


def _words(turn: Turn) -> str:
    return "\n".join(part for part in turn.parts if part is not None)
