"""Names of parameters that a route does not have: refused, with the nearest one that it has.

Whoever misspells a name, or sends it to the wrong place, must not get an answer made without it.
"""

from __future__ import annotations

import difflib
import json
from collections.abc import Collection, Iterable

from pydantic import BaseModel
from starlette.datastructures import QueryParams
from starlette.requests import Request

from looksee.core import errors

_LONGEST = 80  # characters of a name that an error quotes
_SHORT = 2**16  # bytes of a body that is read for the names in it
# Query parameters that clients add to every address, and that ask for nothing, by the tag of a route: Azure's of the
# OpenAI packages, and what tells Anthropic's that a feature is new.
HARMLESS_QUERY: dict[str, frozenset[str]] = {"openai": frozenset({"api-version"}), "anthropic": frozenset({"beta"})}


def nearest(name: str, names: Iterable[str]) -> str:
    """A sentence that asks for the nearest of `names`, with a space in front; empty where none is near."""
    by_fold = {known.casefold(): known for known in names}
    found = difflib.get_close_matches(name[:_LONGEST].casefold(), by_fold, n=1)
    return f" Did you mean '{by_fold[found[0]]}'?" if found else ""


def misspelt(name: str, given: Iterable[str]) -> str | None:
    """Which of `given` is probably meant for `name`."""
    return next(iter(difflib.get_close_matches(name, [one[:_LONGEST] for one in given if one], n=1)), None)


def unknown(name: str, names: Collection[str], what: str = "parameter", *, place: str = "") -> errors.LookseeError:
    """The error for a name that is none of `names`; `place` is what stands before it, as `settings.`."""
    shown = place + (name if len(name) <= _LONGEST else f"{name[:_LONGEST]}...")
    hint = nearest(name, names)
    if not hint:
        hint = f" There are: {', '.join(names)}." if names else ""
    return errors.UnsupportedParameter(f"There is no {what} '{shown}' here.{hint}", param=shown)


def differs(name: str) -> errors.LookseeError:
    """The error for a parameter that is given more than once, and not always the same."""
    return errors.InvalidRequest(
        f"'{name}' is given more than once, with different values; send it once.", param=name[:_LONGEST]
    )


def refuse_members(body: BaseModel, place: str = "", *, always: bool = False) -> None:
    """Raises UnsupportedParameter for a member that `body`, or a record in it, does not have; null is as not given.

    `body` has been validated with `extra="allow"`. A class that allows more by itself has its own check, and is passed
    over unless `always`. What clients send without asking for anything is in a class's `without_effect`.
    """
    kind = type(body)
    if always or kind.model_config.get("extra") != "allow":
        for name, value in (body.model_extra or {}).items():
            if value is not None and name not in getattr(kind, "without_effect", ()):
                names = tuple(field.alias or own for own, field in kind.model_fields.items())
                raise unknown(name, names, "member", place=place)
    for name in kind.model_fields:
        value = getattr(body, name)
        if isinstance(value, BaseModel):
            refuse_members(value, f"{place}{name}.")


def refuse_query(given: QueryParams, names: Collection[str], *, is_json: bool) -> None:
    """Raises UnsupportedParameter for a query parameter that is none of `names`, and InvalidRequest for two different
    values of one. `is_json`: whether the route takes JSON, which is where most parameters belong.
    """
    seen: dict[str, str] = {}
    for name, value in given.multi_items():
        if name not in names:
            error = unknown(name, tuple(names), "query parameter")
            where = " Other parameters are members of the JSON body." if is_json else ""
            raise errors.UnsupportedParameter(error.message + where, param=error.param)
        if seen.setdefault(name, value) != value:
            raise differs(name)


async def refuse_unknown(request: Request) -> None:
    """What every described route of the app depends on: it has no query parameter that the route does not have, and no
    body where it takes none. The routes for forms see to their names themselves.

    Raises UnsupportedParameter and InvalidRequest.
    """
    route = request.scope["route"]
    described = route.openapi_extra or {}
    content = described.get("requestBody", {}).get("content", {})
    if not route.include_in_schema or "multipart/form-data" in content or "health" in route.tags:
        return  # probes and monitors add what they like: `/livez?verbose`, `/health?t=123`
    names = sorted(param.alias for param in route.dependant.query_params)
    if request.query_params:
        harmless = {name for tag in route.tags for name in HARMLESS_QUERY.get(tag, ())}
        given = QueryParams([pair for pair in request.query_params.multi_items() if pair[0] not in harmless])
        refuse_query(given, names, is_json="application/json" in content)
    if not content and request.method == "POST":
        await _refuse_body(request, names)


async def _refuse_body(request: Request, names: Collection[str]) -> None:
    body = (await request.body()).strip()
    if body in (b"", b"{}", b"null"):
        return
    try:
        members = json.loads(body) if len(body) <= _SHORT else None
    except (ValueError, RecursionError):
        members = None
    where = f"the query takes: {', '.join(names)}" if names else "it has no parameters"
    if isinstance(members, dict):
        name = str(next(iter(members)))[:_LONGEST]
        raise errors.UnsupportedParameter(f"'{name}' is not taken from a body here; {where}.", param=name)
    raise errors.UnsupportedParameter(f"This address takes no body; {where}.", param="body")
