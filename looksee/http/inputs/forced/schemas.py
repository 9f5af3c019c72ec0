"""JSON Schemas of callers: what is taken, what an answer is forced into, and the check of what came of it.

A schema is untrusted code that is run in the gateway and in the runner. So nothing is fetched for it, what costs
without bounds is refused or only checked, and the steps of a check are limited.
"""

from __future__ import annotations

import copy
from collections.abc import Iterator
from typing import Any

from jsonschema import Draft202012Validator, SchemaError, validators
from referencing import Registry
from referencing.exceptions import Unresolvable
from referencing.jsonschema import DRAFT202012

from looksee.core import errors

_STEPS = 20_000  # of a check: a keyword of a schema looked at once
# Comparisons of everything with everything, what the library follows uncounted, and what speaks to the grammars' one.
_REFUSED = frozenset(
    {
        *("$anchor", "$dynamicAnchor", "$dynamicRef", "$id", "x-guidance"),
        *("patternProperties", "unevaluatedItems", "unevaluatedProperties", "uniqueItems"),
    }
)
# A grammar does not have these; an answer that does not follow them is asked for again.
_CHECKED = frozenset(
    {
        *("contains", "dependentRequired", "dependentSchemas", "if", "not", "oneOf", "propertyNames"),
    }
)
_COMBINING = frozenset({"$ref", "allOf", "anyOf", "oneOf"})
_SAYING_NOTHING = frozenset(
    {
        *("$comment", "$defs", "$schema", "default", "definitions", "deprecated", "description", "examples"),
        *("readOnly", "title", "writeOnly"),
    }
)
_LARGEST_DIVISOR = 100  # of `multipleOf`, which a grammar has a state for each remainder of


def check(schema: dict[str, Any], param: str) -> None:
    """Raises InvalidRequest for a schema that is none, refers to what is not there, or has what is refused."""
    try:
        Draft202012Validator.check_schema(schema, format_checker=None)  # its own would compile regular expressions
        subschemas = list(_subschemas(schema))
    except (SchemaError, RecursionError):
        raise errors.InvalidRequest(f"'{param}' must be a JSON Schema of the draft 2020-12.", param=param) from None
    known = {id(one) for one in subschemas}
    resolver = Registry[Any]().resolver_with_root(DRAFT202012.create_resource(schema))
    for one in subschemas:
        if refused := sorted(_REFUSED & set(one)):
            raise errors.InvalidRequest(f"'{refused[0]}' is not supported in a schema; leave it out.", param=param)
        one.pop("$schema", None)  # the library would go on with a plain validator, of that draft
        if "$ref" in one:
            try:
                target = resolver.lookup(one["$ref"]).contents
            except Unresolvable:
                target = None
            if target is not True and target is not False and id(target) not in known:
                raise errors.InvalidRequest("A '$ref' of the schema leads to no schema in it.", param=param)
    _check_patterns(subschemas, param)


def _check_patterns(subschemas: list[dict[str, Any]], param: str) -> None:
    """Patterns are forced alone: a check would take time without bounds, and so would the patterns of all that must
    hold together. Raises InvalidRequest.
    """
    if not any("pattern" in one for one in subschemas):
        return
    found = {name for one in subschemas for name in _CHECKED & set(one)}
    if found or any(map(_combines, subschemas)):
        beside = f"'{min(found)}'" if found else "'allOf', and a '$ref' or an 'anyOf' with other keywords beside it"
        raise errors.InvalidRequest(f"'pattern' is not supported in a schema with {beside}; leave it out.", param=param)


def forced(schema: dict[str, Any]) -> dict[str, Any]:
    """What answers are forced into: the schema, which was checked, without what costs too much or a grammar has not."""
    made = copy.deepcopy(schema)
    subschemas = list(_subschemas(made))
    combined = any(map(_combines, subschemas))
    for one in subschemas:
        for name in _CHECKED - {"oneOf"}:
            one.pop(name, None)
        divisor = one.get("multipleOf", 1)
        if combined or not isinstance(divisor, int) or divisor > _LARGEST_DIVISOR:
            one.pop("multipleOf", None)
        if combined or "pattern" in one:
            one.pop("format", None)
        if "pattern" in one:  # the library cannot always tell whether anything follows both
            one.pop("minLength", None)
            one.pop("maxLength", None)
        if not combined and "additionalProperties" not in one and _has_all(one):
            one["additionalProperties"] = False  # what nobody asked for is not what was wanted, and has no end
    return made


def _has_all(schema: dict[str, Any]) -> bool:
    """Whether its properties are enough for an object of it."""
    properties = schema.get("properties", {})
    least = schema.get("minProperties", 0)
    return bool(properties) and len(properties) >= least and properties.keys() >= set(schema.get("required", ()))


def follows(content: Any, schema: dict[str, Any]) -> bool:
    """Whether `content` is of the schema, but for its patterns; not where that takes too many steps to tell."""
    left = _STEPS

    def counted(check: Any) -> Any:
        def checked(*what: Any) -> Any:
            nonlocal left
            left -= 1
            if left < 0:
                raise _TooMuch
            return check(*what)

        return checked

    known = {name: counted(check) for name, check in Draft202012Validator.VALIDATORS.items() if name != "pattern"}
    limited = validators.create(Draft202012Validator.META_SCHEMA, known, type_checker=Draft202012Validator.TYPE_CHECKER)
    try:
        good: bool = limited(schema, registry=Registry()).is_valid(content)
    except (ArithmeticError, RecursionError, _TooMuch):
        return False
    return good


def _combines(schema: dict[str, Any]) -> bool:
    """Whether it has several parts that hold together, which a grammar is made of one by the other."""
    said = set(schema) - _SAYING_NOTHING
    return "allOf" in said or (bool(said & _COMBINING) and len(said) > 1)


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
