"""Compressed bodies: unpacked within the limits of any body, and refused by name where they cannot be."""

from __future__ import annotations

import asyncio
import gzip
import json
import zlib
from collections.abc import AsyncIterator, Callable

import httpx
import pytest

from looksee.http.app import ROUTES
from looksee.http.edge.access.api_keys import ApiKeys
from looksee.http.edge.access.auth import AccessControl
from looksee.http.edge.content_encoding import Unpacked
from looksee.http.edge.middleware import EdgeMiddleware
from looksee.http.edge.route_table import RouteTable
from tests.http.app import Doors, content, error
from tests.http.edge.test_middleware import LIMIT, App, get
from tests.support.files import plain
from tests.support.loops import run


def raw_deflate(data: bytes) -> bytes:
    packer = zlib.compressobj(wbits=-zlib.MAX_WBITS)
    return packer.compress(data) + packer.flush()


def members(data: bytes) -> bytes:
    return gzip.compress(data[:7]) + gzip.compress(b"") + gzip.compress(data[7:])


PACKED: list[tuple[str, Callable[[bytes], bytes]]] = [
    ("gzip", gzip.compress),
    ("GZIP", gzip.compress),
    (" x-gzip ", gzip.compress),
    ("gzip", members),
    ("deflate", zlib.compress),
    ("deflate", raw_deflate),
]


def post(path: str, body: bytes, encoding: str, app: App | None = None, **headers: str) -> httpx.Response:
    return get(path, method="POST", content=body, headers={"Content-Encoding": encoding, **headers}, app=app)


@pytest.mark.parametrize(("encoding", "pack"), PACKED)
@pytest.mark.parametrize("length", [0, 1, 10, LIMIT])
def test_a_packed_body_arrives_unpacked(encoding: str, pack: Callable[[bytes], bytes], length: int) -> None:
    data = (b"abcdefgh" * LIMIT)[:length]
    assert post("/echo", pack(data), encoding).content == data
    assert post("/form", pack(data), encoding).content == data


@pytest.mark.parametrize(("encoding", "pack"), PACKED)
@pytest.mark.parametrize("size", [1, 3, 10])
def test_it_may_come_in_any_pieces(encoding: str, pack: Callable[[bytes], bytes], size: int) -> None:
    data = b"Some words, and some more words." * 20
    packed = pack(data)

    async def pieces() -> AsyncIterator[bytes]:
        for start in range(0, len(packed), size):
            yield packed[start : start + size]

    answer = get("/echo", method="POST", content=pieces(), headers={"Content-Encoding": encoding})
    assert answer.content == data


@pytest.mark.parametrize(("encoding", "pack"), PACKED)
@pytest.mark.parametrize("path", ["/echo", "/swallow", "/form"])
def test_what_unpacks_to_too_much_is_cut_off(path: str, encoding: str, pack: Callable[[bytes], bytes]) -> None:
    packed = pack(bytes(200 * LIMIT))
    assert len(packed) < LIMIT
    answer = post(path, packed, encoding)
    assert error(answer) == (413, "request_too_large", None)


def test_no_more_is_unpacked_than_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    """64 MiB of zeros are 64 KiB of gzip: unpacking all of them would take their memory, and the loop's time. (Here
    it is 512 KiB in 500 bytes, and the limit 1,000.)
    """
    pieces: list[int] = []
    original = Unpacked._next

    def counted(self: Unpacked) -> bytes:
        piece = original(self)
        pieces.append(len(piece))
        return piece

    monkeypatch.setattr(Unpacked, "_next", counted)
    app = App()
    assert post("/echo", gzip.compress(bytes(2**19)), "gzip", app).status_code == 413
    assert len(pieces) == 1
    assert pieces[0] <= 2**16
    assert app.log == []


def test_other_requests_have_their_turn_while_a_large_body_is_unpacked() -> None:
    turns = 0
    app = App()

    async def main() -> None:
        nonlocal turns
        served = EdgeMiddleware(
            app,
            AccessControl(ApiKeys([]), ApiKeys([])),
            RouteTable(form_paths=frozenset({"/form"})),
            max_body=2**24,
            timeout=5,
            longest=5,
        )
        async with httpx.AsyncClient(transport=httpx.ASGITransport(served), base_url="http://looksee") as client:
            packed, headers = gzip.compress(bytes(2**23)), {"Content-Encoding": "gzip"}
            task = asyncio.create_task(client.post("/form", content=packed, headers=headers))
            while not task.done():
                await asyncio.sleep(0)
                turns += 1
            assert (await task).content == bytes(2**23)

    run(main())
    assert turns > 100


def test_a_packed_body_has_no_more_values_than_any() -> None:
    for encoding, pack in PACKED:
        answer = post("/echo", pack(b"[" + b"0," * 50 + b"0]"), encoding)
        assert error(answer)[:2] == (413, "request_too_large")
        assert "values" in content(answer)["detail"]


@pytest.mark.parametrize("encoding", ["", "identity", "Identity"])
def test_what_says_that_it_is_plain_is(encoding: str) -> None:
    assert post("/echo", b"plain", encoding).content == b"plain"


@pytest.mark.parametrize(
    "encoding", ["br", "zstd", "compress", "gzip, gzip", "gzip, br", "utf-8", "nonsense", "gzip;q=1"]
)
def test_any_other_way_is_named(encoding: str) -> None:
    app = App()
    answer = post("/echo", b"{}", encoding, app)
    assert error(answer) == (415, "unsupported_media_type", "Content-Encoding")
    for word in ("Content-Encoding", encoding, "gzip", "deflate"):
        assert word in content(answer)["detail"]
    assert answer.headers["accept-encoding"] == "gzip, deflate"
    assert app.reached == []


@pytest.mark.parametrize("encoding", ["gzip", "deflate"])
@pytest.mark.parametrize(
    "body", [b'{"a": 1}', b"\x1f\x8b", b"\x1f\x8b\x08\x00nonsense", b"x\x9cnonsense", b"\xff" * 50]
)
def test_what_is_not_packed_as_it_says_is_the_callers_mistake(encoding: str, body: bytes) -> None:
    for path in ("/echo", "/swallow"):
        answer = post(path, body, encoding)
        assert error(answer)[:2] == (400, "invalid_request")
        assert encoding in content(answer)["detail"]


@pytest.mark.parametrize(("encoding", "pack"), PACKED)
def test_a_body_that_breaks_off_is_not_taken_for_whole(encoding: str, pack: Callable[[bytes], bytes]) -> None:
    packed = pack(b"Some words, and some more words." * 20)
    answer = post("/echo", packed[:-3], encoding)
    assert error(answer)[:2] == (400, "invalid_request")


def test_what_is_behind_a_packed_body_is_not_passed_over() -> None:
    assert error(post("/echo", gzip.compress(b"x") + b"more", "gzip"))[0] == 400
    assert error(post("/echo", zlib.compress(b"x") + zlib.compress(b"y"), "deflate"))[0] == 400


def test_the_app_sees_headers_of_the_unpacked_body() -> None:
    seen: list[str] = []

    class Seeing(App):
        async def __call__(self, scope, receive, send):  # type: ignore[no-untyped-def]
            seen.extend(name.decode() for name, _ in scope["headers"])
            await super().__call__(scope, receive, send)

    post("/echo", gzip.compress(b"x"), "gzip", Seeing())
    assert "content-type" not in seen or "host" in seen
    assert not {"content-encoding", "content-length"} & set(seen)


def test_json_and_forms_are_taken_packed() -> None:
    served = EdgeMiddleware(
        Doors().app, AccessControl(ApiKeys([]), ApiKeys([])), ROUTES, max_body=10**6, timeout=5, longest=5
    )
    form = httpx.Request("POST", "http://looksee/", files={"images": ("a.png", plain())})
    form.read()
    body = json.dumps({"model": "blip", "image_url": "data:image/png;base64,"}).encode()

    async def main() -> None:
        async with httpx.AsyncClient(transport=httpx.ASGITransport(served), base_url="http://looksee") as client:
            for encoding, pack in PACKED:
                headers = {"Content-Encoding": encoding.strip()}
                kind = {"Content-Type": form.headers["content-type"]}
                answer = await client.post("/api/caption-images", content=pack(form.content), headers=headers | kind)
                assert answer.json()["results"][0]["caption"] == "a red circle"
                refused = await client.post("/v1/caption", content=pack(body), headers=headers)
                assert error(refused) == (400, "empty_file", "image_url")

    run(main())
