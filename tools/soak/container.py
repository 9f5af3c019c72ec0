"""The container API: its JSON routes, its forms, and the lists of the native methods."""

from __future__ import annotations

import base64
import io
from collections.abc import Sequence
from typing import Any

import aiohttp

from looksee.core.tags import tags
from tools.soak.exchange import BOX, SPOT, BadShape, Query, Refused, Told, checked, data_uri, places, posted, route_of
from tools.soak.questions import CAPTION, DETECT, FLAG, POINT, QUERY


def of_container(kind: str, body: dict[str, Any]) -> Told:
    if kind == DETECT:
        return Told(places(body["detections"], BOX), body["cache"])
    if kind == POINT:
        return Told(places(body["coordinates"]["points"], SPOT), body["cache"])
    return Told(str(body["answer" if kind == QUERY else "caption"]), body["cache"])


async def native(session: aiohttp.ClientSession, url: str, queries: Sequence[Query]) -> list[Told]:
    (query,) = queries
    route, members = route_of(query)
    body = {"image": base64.b64encode(query.files[0]).decode(), **members}
    return [of_container(query.kind, await posted(session, f"{url}/{route}", body))]


async def upload(session: aiohttp.ClientSession, url: str, queries: Sequence[Query]) -> list[Told]:
    (query,) = queries
    route, members = route_of(query)
    form = aiohttp.FormData(members)
    form.add_field("file", io.BytesIO(query.files[0]), filename="scene")
    async with session.post(f"{url}/upload/{route}", data=form) as response:
        return [of_container(query.kind, await checked(response))]


def _one_of_several(query: Query, place: str, result: dict[str, Any]) -> Told:
    if result["filename"] != place:
        raise BadShape(f"{result['filename']} is where {place} belongs")
    if "error" in result:
        return Told(Refused(200, str(result["error"]["code"])))
    if result["tags"] != tags(result["caption"]):
        raise BadShape(f"tags {result['tags']} of {result['caption']!r}")
    if query.kind == CAPTION:
        return Told(str(result["caption"]), result["cache"])
    if result["flagged"] is None and not result["flag_evaluated"]:
        return Told(Refused(200, "flag_failed"))
    return Told({True: "yes", False: "no", None: "?"}[result["flagged"]])


def _flag(queries: Sequence[Query]) -> dict[str, str]:
    return {"flag_caption_prompt": queries[0].words} if queries[0].kind == FLAG else {}


async def form(session: aiohttp.ClientSession, url: str, queries: Sequence[Query]) -> list[Told]:
    form = aiohttp.FormData()
    for number, query in enumerate(queries):
        form.add_field("images", io.BytesIO(query.files[0]), filename=f"scene-{number}")
    params = {"model": queries[0].model, **_flag(queries)}
    async with session.post(f"{url}/api/caption-images", params=params, data=form) as response:
        results = (await checked(response))["results"]
    return [_one_of_several(query, f"scene-{n}", results[n]) for n, query in enumerate(queries)]


async def method(session: aiohttp.ClientSession, url: str, queries: Sequence[Query]) -> list[Told]:
    body = {"images": [data_uri(query.files[0]) for query in queries], "model": queries[0].model, **_flag(queries)}
    results = (await posted(session, f"{url}/caption_images", body))["results"]
    return [_one_of_several(query, f"images.{n}", results[n]) for n, query in enumerate(queries)]


def _together(body: dict[str, Any]) -> list[Told]:
    if body["tags"] != tags(body["collective_caption"]):
        raise BadShape(f"tags {body['tags']} of {body['collective_caption']!r}")
    return [Told(str(body["collective_caption"]), body["cache"])]


async def together_form(session: aiohttp.ClientSession, url: str, queries: Sequence[Query]) -> list[Told]:
    (query,) = queries
    form = aiohttp.FormData()
    for file in query.files:
        form.add_field("images", io.BytesIO(file), filename="scene")
    params = {"model": query.model}
    async with session.post(f"{url}/api/caption-collective-images", params=params, data=form) as response:
        return _together(await checked(response))


async def together_method(session: aiohttp.ClientSession, url: str, queries: Sequence[Query]) -> list[Told]:
    (query,) = queries
    body = {"images": [data_uri(file) for file in query.files], "model": query.model}
    return _together(await posted(session, f"{url}/collective", body))
