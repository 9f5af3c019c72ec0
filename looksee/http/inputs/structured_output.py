"""Answers in JSON: the prompt asks for it, the answer is validated, and the model is asked again while it is invalid.

A schema is untrusted code that is run in the gateway. So nothing is fetched for it, keywords of unbounded cost (regular
expressions) are refused, and the steps of a validation are limited.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import Awaitable, Callable, Iterator
from dataclasses import dataclass, replace
from typing import Any

from jsonschema import Draft202012Validator, SchemaError, validators
from pydantic import BaseModel, Field
from referencing import Registry
from referencing.exceptions import Unresolvable
from referencing.jsonschema import DRAFT202012

from looksee.core import errors
from looksee.core.tasks import Sampling
from looksee.gateway.answering import ServedAnswer
from looksee.http.error_sentences import must_be
from looksee.http.inputs.validation import check_prompt
from looksee.models.registry import chat_models, offers, prompts
from looksee.settings import Settings

_TRIES = 3
_WARM = 0.7  # temperature of further tries where the first was greedy: it would say the same again
_STEPS = 20_000  # of a check: a keyword of a schema looked at once
# Regular expressions, comparisons of everything with everything, and what the library follows uncounted.
_REFUSED = frozenset(
    {
        *("$anchor", "$dynamicAnchor", "$dynamicRef", "$id"),
        *("pattern", "patternProperties", "unevaluatedItems", "unevaluatedProperties", "uniqueItems"),
    }
)
_TYPES: list[Any] = ["text", "json_object", "json_schema"]
_SCHEMA = "response_format.json_schema.schema"


class JsonSchema(BaseModel):
    name: str = ""
    description: str | None = None
    strict: bool | None = Field(None, description="without effect: answers are always checked")
    wanted: dict[str, Any] = Field({}, alias="schema", description="JSON Schema 2020-12 without regular expressions")


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

    def found(self, answer: str) -> str | None:
        """The JSON that the answer is, also in a fence of Markdown; None when it is none, or not what was wanted."""
        text = answer.strip()
        if text.startswith("```") and text.endswith("```"):
            text = text[3:-3].removeprefix("json").strip()
        try:
            content = json.loads(text, parse_constant=_no_number)
            good = isinstance(content, dict) if self.schema is None else _follows(content, self.schema)
        except (ValueError, ArithmeticError, RecursionError, _TooMuch):
            return None
        return text if good else None

    async def asked(self, ask: Callable[[Sampling], Awaitable[ServedAnswer]], sampling: Sampling) -> ServedAnswer:
        """The first answer that is what was wanted. Raises StructuredOutputFailed after a few that were not."""
        cut = False
        for number in range(_TRIES):
            served = await ask(_varied(sampling, number))
            text = await asyncio.to_thread(self.found, served.answer.text)
            if text is not None:
                return replace(served, answer=replace(served.answer, text=text))
            cut = served.answer.finish == "length"
        what = "JSON of this schema" if self.schema is not None else "a JSON object"
        hint = " The last try was cut; allow more tokens." if cut else ""
        raise errors.StructuredOutputFailed(
            f"The model did not write {what} in {_TRIES} tries.{hint}", param="response_format"
        )


def structure(asked: ResponseFormat | None, model: str, settings: Settings) -> StructuredOutput | None:
    """What is wanted of an answer; None for plain text.

    Raises TaskNotSupported where the model does not follow instructions, UnsupportedParameter, InvalidRequest for a
    schema that is none, and PromptTooLong for a large one.
    """
    if asked is None or asked.type == "text":
        return None
    if asked.type not in _TYPES:
        raise errors.UnsupportedParameter(
            must_be("response_format.type", {"enum": _TYPES}), param="response_format.type"
        )
    if not offers()[model].chats:
        able = ", ".join(chat_models())
        raise errors.TaskNotSupported(
            f"The model '{model}' cannot be told to answer in JSON. These can: {able}.", param="response_format"
        )
    if asked.type == "json_object":
        return StructuredOutput()
    if asked.json_schema is None or not asked.json_schema.wanted:
        raise errors.InvalidRequest(
            f"'{_SCHEMA}' is missing; it must be a JSON Schema of the draft 2020-12.", param=_SCHEMA
        )
    schema = asked.json_schema.wanted
    check_prompt(_written(schema), settings, param=_SCHEMA)
    _check(schema)
    return StructuredOutput(schema)


def _varied(sampling: Sampling, number: int) -> Sampling:
    """The sampling of a try: another draw each time, and the same ones again for the same request if it is seeded."""
    if number == 0 or not sampling.repeatable:
        return sampling
    return replace(sampling, temperature=sampling.temperature or _WARM, seed=(sampling.seed or 0) + number)


def _written(schema: dict[str, Any]) -> str:
    return json.dumps(schema, ensure_ascii=False)


def _check(schema: dict[str, Any]) -> None:
    """Raises InvalidRequest for a schema that is none, refers to what is not there, or has what is refused."""
    try:
        Draft202012Validator.check_schema(schema, format_checker=None)  # its own would compile regular expressions
        subschemas = list(_subschemas(schema))
    except (SchemaError, RecursionError):
        raise errors.InvalidRequest(f"'{_SCHEMA}' must be a JSON Schema of the draft 2020-12.", param=_SCHEMA) from None
    known = {id(one) for one in subschemas}
    resolver = Registry[Any]().resolver_with_root(DRAFT202012.create_resource(schema))
    for one in subschemas:
        if refused := sorted(_REFUSED & set(one)):
            raise errors.InvalidRequest(f"'{refused[0]}' is not supported in a schema; leave it out.", param=_SCHEMA)
        one.pop("$schema", None)  # the library would go on with a plain validator, of that draft
        if "$ref" in one:
            try:
                target = resolver.lookup(one["$ref"]).contents
            except Unresolvable:
                target = None
            if target is not True and target is not False and id(target) not in known:
                raise errors.InvalidRequest("A '$ref' of the schema leads to no schema in it.", param=_SCHEMA)


def _subschemas(schema: dict[str, Any]) -> Iterator[dict[str, Any]]:
    """The schema and all in it."""
    waiting: list[Any] = [schema]
    while waiting:
        one = waiting.pop()
        if isinstance(one, dict):  # some are true or false
            yield one
            waiting += DRAFT202012.subresources_of(one)


class _TooMuch(Exception):
    """A check takes too many steps."""


def _follows(content: Any, schema: dict[str, Any]) -> bool:
    """Raises _TooMuch, ArithmeticError or RecursionError where validation is too expensive or fails."""
    left = _STEPS

    def counted(check: Any) -> Any:
        def checked(*what: Any) -> Any:
            nonlocal left
            left -= 1
            if left < 0:
                raise _TooMuch
            return check(*what)

        return checked

    keywords = {name: counted(check) for name, check in Draft202012Validator.VALIDATORS.items()}
    limited = validators.extend(Draft202012Validator, keywords)
    good: bool = limited(schema, registry=Registry()).is_valid(content)
    return good


def _no_number(name: str) -> Any:
    raise ValueError(name)
