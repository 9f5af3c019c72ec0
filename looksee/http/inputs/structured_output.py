"""Answers in JSON: the prompt asks for it, the answer is forced into it, and what no grammar has is checked.

An answer that is not what was wanted is asked for again; one that was cut is told as it is.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, replace
from typing import Any

from pydantic import BaseModel, Field

from looksee.core import errors
from looksee.core.tasks import Grammar, Sampling
from looksee.gateway.answering import ServedAnswer
from looksee.http.error_sentences import must_be
from looksee.http.inputs.forced import schemas, texts
from looksee.http.inputs.validation import check_prompt
from looksee.models.registry import prompts
from looksee.settings import Settings

_TRIES = 3
_WARM = 0.7  # temperature of further tries where the first was greedy: it would say the same again
_TYPES: list[Any] = ["text", "json_object", "json_schema"]
_PARAM = "response_format"
_SCHEMA = "response_format.json_schema.schema"


class JsonSchema(BaseModel):
    name: str = ""
    description: str | None = None
    strict: bool | None = Field(None, description="without effect: answers are always forced")
    wanted: dict[str, Any] = Field({}, alias="schema", description="JSON Schema of the draft 2020-12")


class ResponseFormat(BaseModel):
    type: str = Field(description="text, json_object or json_schema", json_schema_extra={"enum": _TYPES})
    json_schema: JsonSchema | None = None


@dataclass(frozen=True, slots=True)
class StructuredOutput:
    """What an answer in JSON has to be: any object, or what follows `schema`."""

    schema: dict[str, Any] | None = None

    @property
    def words(self) -> str:
        """The instruction for the model."""
        return prompts.in_json("" if self.schema is None else _written(self.schema))

    @property
    def grammar(self) -> Grammar:
        """What the answer is forced into."""
        return Grammar("json_object") if self.schema is None else Grammar("json_schema", _forced(self.schema))

    def found(self, answer: str) -> str | None:
        """The JSON that the answer is, also in a fence of Markdown; None when it is none, or not what was wanted."""
        text = answer.strip()
        if text.startswith("```") and text.endswith("```"):
            text = text[3:-3].removeprefix("json").strip()
        try:
            content = json.loads(text, parse_constant=_no_number)
            good = isinstance(content, dict) if self.schema is None else schemas.follows(content, self.schema)
        except (ValueError, RecursionError):
            return None
        return text if good else None

    async def asked(
        self, ask: Callable[[Sampling], Awaitable[ServedAnswer]], sampling: Sampling, *, stop: bool = False
    ) -> ServedAnswer:
        """The first answer that is what was wanted, or was cut on the way to it: by its limit, which `finish` says, or
        where there are any by a `stop` string. Raises StructuredOutputFailed after a few that were neither.
        """
        for number in range(_TRIES):
            served = await ask(_varied(sampling, number))
            text = await asyncio.to_thread(self.found, served.answer.text)
            if text is not None:
                return replace(served, answer=replace(served.answer, text=text))
            if served.answer.finish in ("length", "loop") or (stop and not _is_json(served.answer.text)):
                return served
        what = "JSON of this schema" if self.schema is not None else "a JSON object"
        raise errors.StructuredOutputFailed(f"The model did not write {what} in {_TRIES} tries.", param=_PARAM)


def structure(asked: ResponseFormat | None, model: str, settings: Settings) -> StructuredOutput | None:
    """What is wanted of an answer; None for plain text.

    Raises TaskNotSupported where the model cannot be forced, UnsupportedParameter, InvalidRequest for a
    schema that is none, and PromptTooLong for a large one.
    """
    if asked is None or asked.type == "text":
        return None
    if asked.type not in _TYPES:
        raise errors.UnsupportedParameter(
            must_be("response_format.type", {"enum": _TYPES}), param="response_format.type"
        )
    texts.check_able(model, _PARAM, "JSON")
    if asked.type == "json_object":
        return StructuredOutput()
    if asked.json_schema is None or not asked.json_schema.wanted:
        raise errors.InvalidRequest(
            f"'{_SCHEMA}' is missing; it must be a JSON Schema of the draft 2020-12.", param=_SCHEMA
        )
    schema = asked.json_schema.wanted
    check_prompt(_written(schema), settings, param=_SCHEMA)
    schemas.check(schema, _SCHEMA)
    return StructuredOutput(schema)


def _varied(sampling: Sampling, number: int) -> Sampling:
    """The sampling of a try: another draw each time, and the same ones again for the same request if it is seeded."""
    if number == 0 or not sampling.repeatable:
        return sampling
    return replace(sampling, temperature=sampling.temperature or _WARM, seed=(sampling.seed or 0) + number)


def _written(schema: dict[str, Any]) -> str:
    return json.dumps(schema, ensure_ascii=False)


def _forced(schema: dict[str, Any]) -> str:
    return _written(schemas.forced(schema))


def _is_json(text: str) -> bool:
    try:
        json.loads(text)
    except (ValueError, RecursionError):
        return False
    return True


def _no_number(name: str) -> Any:
    raise ValueError(name)
