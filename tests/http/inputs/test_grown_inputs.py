"""Properties of the parsers, on inputs that hypothesis grows: what was sent comes out, and what is wrong is told."""

from __future__ import annotations

import base64
import itertools
import json
import string
from collections.abc import Sequence
from typing import Any
from urllib.parse import quote, urlsplit

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st
from pydantic import ValidationError
from starlette.datastructures import UploadFile
from starlette.requests import Request
from starlette.types import Message

from looksee.core import errors
from looksee.core.addresses import Allowlist, is_address
from looksee.core.images import ImageLimits, from_base64
from looksee.http.dialects.openai import ChatBody
from looksee.http.inputs import multipart
from looksee.http.skills import conversation
from looksee.settings import Settings
from tests.http.app import Doors
from tests.support.files import plain
from tests.support.loops import run

# The same inputs each time; a slow machine is no failure.
grown = settings(
    derandomize=True, deadline=None, database=None, max_examples=150, suppress_health_check=list(HealthCheck)
)
few = settings(grown, max_examples=40)
LIMITS = ImageLimits(file_bytes=10**5, pixels=10**6, smallest_side=3)
PICTURES = [plain("PNG", (n, 7)) for n in range(5, 9)] + [plain("JPEG"), plain("WEBP"), plain("GIF")]


def check_refusal(error: errors.LookseeError) -> None:
    """A client's own error, in words."""
    assert 400 <= error.status < 500
    assert error.message


# --- data URIs and base64 -----------------------------------------------------------------------------------------


@grown
@given(
    data=st.sampled_from(PICTURES),
    prefix=st.sampled_from(["", "data:image/png;base64,", "DATA:;base64,", "data:image/x;a=b;base64,", "data:,"]),
    url_safe=st.booleans(),
    padded=st.booleans(),
    quoted=st.booleans(),
    spaces=st.lists(st.tuples(st.integers(0, 500), st.sampled_from(" \n\t\r")), max_size=5),
)
def test_a_picture_in_text_is_the_picture(
    data: bytes, prefix: str, url_safe: bool, padded: bool, quoted: bool, spaces: list[tuple[int, str]]
) -> None:
    text = (base64.urlsafe_b64encode if url_safe else base64.b64encode)(data).decode()
    text = text if padded else text.rstrip("=")
    for at, space in spaces:
        text = text[:at] + space + text[at:]
    text = quote(text, safe="") if quoted and "\t" not in text else text
    assert from_base64(prefix + text, LIMITS).data == data


@grown
@given(
    st.text()
    | st.builds(lambda head, rest: head + rest, st.sampled_from(["data:", "data:;base64,", "iVBO"]), st.text())
)
def test_any_text_is_a_picture_or_told_apart(text: str) -> None:
    try:
        from_base64(text, LIMITS)
    except errors.LookseeError as error:
        check_refusal(error)


# --- forms --------------------------------------------------------------------------------------------------------

_NAMES = st.text(string.ascii_letters + '[]_0123456789 äé"\\;=%', min_size=1, max_size=20)
_PARTS = st.lists(
    st.tuples(_NAMES, st.none() | _NAMES, st.binary(min_size=1, max_size=300) | st.sampled_from(PICTURES)), max_size=6
)


def form(parts: Sequence[tuple[str, str | None, bytes]]) -> bytes:
    """As browsers write it: a quote in a name is %22."""

    def written(name: str) -> bytes:
        return name.replace('"', "%22").replace("\\", "\\\\").encode()

    found = b""
    for name, filename, data in parts:
        found += b'--limit\r\nContent-Disposition: form-data; name="' + written(name) + b'"'
        found += b"" if filename is None else b'; filename="' + written(filename) + b'"'
        found += b"\r\n\r\n" + data + b"\r\n"
    return found + b"--limit--\r\n"


async def read(body: bytes, cuts: Sequence[int]) -> list[tuple[str, str, bytes]]:
    """Name, file name and bytes of each part, of a body that came in pieces."""
    places = sorted({min(cut, len(body)) for cut in cuts} | {0, len(body)})
    pieces = [body[start:end] for start, end in itertools.pairwise(places)] or [b""]

    async def receive() -> Message:
        piece = pieces.pop(0)
        return {"type": "http.request", "body": piece, "more_body": bool(pieces)}

    headers = [(b"content-type", b"multipart/form-data; boundary=limit")]
    found = []
    async with multipart.parts(Request({"type": "http", "headers": headers}, receive)) as parts:
        for part in parts:
            data = await part.value.read() if isinstance(part.value, UploadFile) else part.value.encode()
            found.append((part.name, part.filename, data))
    return found


@grown
@given(parts=_PARTS, cuts=st.lists(st.integers(0, 4000), max_size=6))
def test_what_is_in_a_form_comes_out_however_it_arrives(
    parts: list[tuple[str, str | None, bytes]], cuts: list[int]
) -> None:
    sent = [part for part in parts if part[1] is not None or multipart.is_picture_field(part[0])]
    body = form(sent)
    found = run(read(body, cuts))
    assert found == run(read(body, []))
    assert [data for _, _, data in found] == [data for _, _, data in sent]


@grown
@given(body=st.binary(max_size=600) | st.builds(lambda a, b: form(a)[: max(0, b)], _PARTS, st.integers(0, 800)))
@example(b"--limit\r\n\r\n\r\n--limit--")
@example(b"--limit\r\nContent-Disposition: form-data; name*=x\r\n\r\n1\r\n--limit--")
def test_any_form_is_read_or_refused(body: bytes) -> None:
    try:
        run(read(body, [7, 50]))
    except errors.LookseeError as error:
        check_refusal(error)


# --- addresses ----------------------------------------------------------------------------------------------------

ALLOWED = Allowlist.parse("example.org, *.example.net, images.test:8443", "")
_URLS = st.builds(
    lambda *parts: "".join(parts),
    st.sampled_from(["https://", "http://", "HTTPS://", "https:/", "https:\\\\", "//", "ftp://", " https://"]),
    st.sampled_from(["", "user@", "user:pass@", "example.org@", "[", "%65"]),
    st.sampled_from(
        ["example.org", "a.example.net", "images.test", "EXAMPLE.ORG", "example.org.", "evil.test", "127.1"]
    )
    | st.text(string.ascii_letters + ".-_@:%[]#?/\\", max_size=15),
    st.sampled_from(["", ":443", ":8443", ":0443", ":99999", ":", ":@evil.test"]),
    st.sampled_from(["", "/", "/a.png", "?x=@evil.test", "#@evil.test", "\\@evil.test", "/..//evil.test", "/\t", "/é"]),
)


@settings(grown, max_examples=1000)
@given(_URLS | st.text(max_size=60))
def test_an_address_that_is_admitted_is_of_an_allowed_host_to_every_parser(url: str) -> None:
    try:
        address = ALLOWED.admit(url, param="image")
    except errors.ImageUrlNotAllowed as error:
        check_refusal(error)
        return
    assert is_address(url)
    assert address.scheme == "https"
    assert (address.host, address.port) in {("example.org", 443), ("images.test", 8443)} or (
        address.host.endswith(".example.net") and address.port == 443
    )
    for written in (url, address.url):
        seen = urlsplit(written)
        assert (seen.hostname, seen.port or 443, seen.username) == (address.host, address.port, None)


@grown
@given(st.sampled_from(["/", "//", "https://", "\\\\", ""]), st.text(max_size=40))
def test_a_redirect_stays_where_it_was_allowed(before: str, rest: str) -> None:
    address = ALLOWED.admit("https://example.org/a.png", param="image")
    found = address.redirected(before + rest)
    assert found is None or (found.scheme, found.host, found.port) == ("https", "example.org", 443)


# --- chats --------------------------------------------------------------------------------------------------------

_JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=20),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=10), inner, max_size=4),
    max_leaves=12,
)
_PICTURE = "data:image/png;base64," + base64.b64encode(PICTURES[0]).decode()
_URL = st.sampled_from([_PICTURE, "data:,", "https://example.org/a.png", ""]) | st.text(max_size=10)
_PART = (
    st.fixed_dictionaries({"type": st.just("text"), "text": st.text(max_size=30) | st.none()})
    | st.fixed_dictionaries({"type": st.just("image_url"), "image_url": st.fixed_dictionaries({"url": _URL}) | _URL})
    | st.fixed_dictionaries({"type": st.text(max_size=12)}, optional={"text": _JSON, "image_url": _JSON})
)  # fmt: skip
_MESSAGE = st.fixed_dictionaries(
    {"role": st.sampled_from(["system", "user", "assistant", "developer", "tool"]) | st.text(max_size=6)},
    optional={
        "content": st.text(max_size=40) | st.lists(_PART, max_size=4) | _JSON,
        "name": _JSON,
        "tool_calls": _JSON,
    },
)


@grown
@given(st.lists(_MESSAGE | _JSON, max_size=5))
def test_any_chat_is_understood_or_refused(messages: list[Any]) -> None:
    try:
        body = ChatBody.model_validate_json(json.dumps({"model": "gemma", "messages": messages}), strict=True)
        talk = conversation.read(body.messages, Settings.model_construct())
    except ValidationError:
        return
    except errors.LookseeError as error:
        check_refusal(error)
        return
    said = [one["content"] for one in messages if isinstance(one.get("content"), str) and one["content"].strip()]
    words = " ".join(str(turn) for turn in talk.turns)
    assert all(repr(text.strip())[1:-1] in words or text.strip() in words for text in said)


@few
@given(body=_JSON | st.fixed_dictionaries({"model": st.just("gemma"), "messages": st.lists(_MESSAGE, max_size=3)}))
@pytest.mark.parametrize("path", ["/v1/chat/completions", "/v1/query", "/v1/batch"])
def test_any_json_is_answered_or_refused(path: str, body: Any) -> None:
    sent = json.dumps(body).encode()
    answer = Doors().send(path, content=sent, headers={"Content-Type": "application/json"})
    assert answer.status_code < 500, answer.text
    if answer.status_code != 200:
        assert answer.json()["error"]["message"]
