"""`/v1/pictures`: a picture is sent once and named by its id afterwards, wherever a picture is taken."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime
from typing import Annotated, Any, Literal

from fastapi import APIRouter, Path, Request
from pydantic import BaseModel, Field

from looksee.core import errors
from looksee.core.image_formats import FORMATS, listed
from looksee.core.images import Picture, examine
from looksee.core.kept_pictures import ID_PATTERN, KeptPicture, digest_of, id_of
from looksee.http.context import ContextFactory, RequestContext
from looksee.http.inputs import forms, known, uploads

PATH = "/v1/pictures"
_FIELD = "file"
_FILE = {"type": "string", "format": "binary", "description": f"a picture: {listed(FORMATS, 'or')}"}
_FORM = forms.described(_FIELD, _FILE, None)
_BODY: dict[str, Any] = {"application/octet-stream": {"schema": _FILE}, **_FORM["requestBody"]["content"]}
_OTHERS = ("application/json", "text/html")


class PictureCard(BaseModel):
    """A picture that is kept."""

    id: str = Field(description="what to send in place of the picture", pattern=ID_PATTERN)
    object: Literal["picture"] = "picture"
    bytes: int
    width: int = Field(description="pixels, as a person sees it: after its EXIF orientation")
    height: int
    media_type: str
    expires_at: str = Field(description="until then it is kept, unless newer ones need its place")


class DroppedPicture(BaseModel):
    """A picture that is not kept any more."""

    id: str
    object: Literal["picture"] = "picture"
    deleted: Literal[True] = True


_Id = Annotated[str, Path(description="as `PUT` answered it", json_schema_extra={"pattern": ID_PATTERN})]


def router(contexts: ContextFactory) -> APIRouter:
    """The routes."""
    gateway = contexts.gateway
    routes = APIRouter(prefix=PATH, tags=["pictures"])

    @routes.put(
        "",
        summary="Keep a picture, to be named afterwards",
        openapi_extra={"requestBody": {"required": True, "content": _BODY}},
    )
    async def keep(request: Request) -> PictureCard:
        """The picture is the body, or a file of a form. Sent again it has the same id, and a new time."""
        context = contexts.of(request.receive)
        known.refuse_query(request.query_params, (), is_json=False)
        picture = await _read(request, context)
        return _card(await gateway.pictures.keep(context.client, picture))

    @routes.get("/{id}", summary="What is known of a picture that is kept")
    async def about(request: Request, id: _Id) -> PictureCard:
        context = contexts.of(request.receive)
        return _card(await gateway.pictures.about(context.client, _digest(context, id), param="id"))

    @routes.delete("/{id}", summary="Keep a picture no longer")
    async def drop(request: Request, id: _Id) -> DroppedPicture:
        context = contexts.of(request.receive)
        digest = _digest(context, id)
        await gateway.pictures.drop(context.client, digest, param="id")
        return DroppedPicture(id=id_of(digest))

    return routes


async def _read(request: Request, context: RequestContext) -> Picture:
    """Raises what is wrong with the picture, or with the form."""
    kind = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    if kind == "multipart/form-data":
        form = await uploads.read(request, _FIELD, context, most=1)
        return await form.picture()
    if kind in _OTHERS:
        raise errors.UnsupportedMediaType(
            f"Send the picture's own bytes as the body, not {kind} (curl -T a.png), or a form (curl -X PUT -F "
            "file=@a.png)."
        )
    limits = uploads.image_limits(context.settings)
    return await asyncio.to_thread(examine, await request.body(), limits, param=_FIELD)


def _digest(context: RequestContext, id: str) -> str:
    """Of the path as it was sent: the edge leaves the id out of the one that is routed, since that is written down."""
    private = "" if context.info is None else context.info.private
    return digest_of(private or id, param="id")


def _card(kept: KeptPicture) -> PictureCard:
    return PictureCard(
        id=id_of(kept.digest),
        bytes=kept.nbytes,
        width=kept.width,
        height=kept.height,
        media_type=kept.media_type,
        expires_at=datetime.fromtimestamp(kept.expires_at, UTC).isoformat(timespec="seconds"),
    )
