"""A question as it is sent and an answer in one form, whatever the dialect."""

from __future__ import annotations

import base64
import io
import json
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from typing import Any

import aiohttp

from tools.soak.questions import CAPTION, DETECT, LONG, POINT, QUERY, SHORT, Places, Said

TEXT = frozenset({CAPTION, SHORT, LONG, QUERY})
ONE = TEXT | {DETECT, POINT}
LENGTHS = {CAPTION: "normal", SHORT: SHORT, LONG: LONG}
BOX, SPOT = ("x_min", "y_min", "x_max", "y_max"), ("x", "y")


class Refused(Exception):
    """The service did not answer, and said so: its status and code; status 0 for an error inside a stream."""

    def __init__(self, status: int, code: str) -> None:
        super().__init__(f"{status} {code}")
        self.status, self.code = status, code


class BadShape(Exception):
    """An answer that is not as its dialect says: it lacks a member, is in another's place, or breaks off."""


@dataclass(frozen=True)
class Query:
    """A question as it is sent: the files are those of its pictures, with bytes behind them that make them new."""

    model: str
    kind: str
    words: str
    files: tuple[bytes, ...]


@dataclass(frozen=True)
class Told:
    """An answer, or the refusal of this question alone; and whether it came from the cache, where that is told."""

    said: Said | Refused
    cached: bool | None = None


Ask = Callable[[aiohttp.ClientSession, str, Sequence[Query]], Awaitable[list[Told]]]


def data_uri(file: bytes) -> str:
    return "data:;base64," + base64.b64encode(file).decode()


def places(found: Sequence[dict[str, Any]], names: Sequence[str]) -> Places:
    return tuple(tuple(float(place[name]) for name in names) for place in found)


async def checked(response: aiohttp.ClientResponse) -> Any:
    body = await response.json(content_type=None)
    if response.status != 200:
        raise Refused(response.status, str(body.get("code") or body.get("error", {}).get("code")))
    return body


async def posted(session: aiohttp.ClientSession, url: str, body: dict[str, Any]) -> Any:
    # As a file: aiohttp would write a large body in one piece.
    sent = io.BytesIO(json.dumps(body).encode())
    async with session.post(url, data=sent, headers={"Content-Type": "application/json"}) as response:
        return await checked(response)


def route_of(query: Query) -> tuple[str, dict[str, str]]:
    """The route of the container API, and the members that it takes beside the picture."""
    if query.kind in LENGTHS:
        return "caption", {"model": query.model, "length": LENGTHS[query.kind]}
    if query.kind == QUERY:
        return "query", {"model": query.model, "question": query.words}
    return query.kind, {"model": query.model, "object": query.words}
