"""Settings of pictures that are fetched from an address."""

from __future__ import annotations

from typing import Annotated

from pydantic import AfterValidator, BaseModel, Field, PositiveFloat

from looksee.core.addresses import Allowlist


def _hosts(text: str) -> str:
    Allowlist.parse(text, "")
    return text


def _networks(text: str) -> str:
    Allowlist.parse("", text)
    return text


class ImageUrlSettings(BaseModel):
    """Where pictures may be fetched from."""

    image_url_hosts: Annotated[str, AfterValidator(_hosts)] = Field(
        "",
        description="hosts that pictures may be fetched from, comma separated: `example.org`, `*.example.org` (those "
        "below it), `*` (any public one), each with a port if it is not the usual one; empty: none",
    )
    image_url_networks: Annotated[str, AfterValidator(_networks)] = Field(
        "",
        description="private networks, comma separated (`10.1.0.0/16`), that those hosts may lie in; not by `*`",
    )
    image_url_timeout_seconds: PositiveFloat = Field(10, le=60, description="seconds in which a picture is fetched")
