"""Pictures out of a form: each with its own result, in order."""

from __future__ import annotations

import asyncio
import base64
from typing import Any

import httpx
import pytest
from starlette.applications import Starlette
from starlette.datastructures import UploadFile
from starlette.formparsers import MultiPartParser
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from looksee.core import errors
from looksee.core.images import ImageLimits, Picture, mib
from looksee.http import error_responses
from looksee.http.inputs import uploads
from looksee.http.inputs.uploads import Upload, image_limits
from looksee.settings import Settings
from tests.http.app import context
from tests.support.files import plain
from tests.support.loops import run

SETTINGS = Settings.model_construct(max_file_bytes=1000, max_pixels=500, min_side=3, max_files=4)
PNG, JPEG, WEBP = plain("PNG"), plain("JPEG"), plain("WEBP")
ENCODED = base64.b64encode(PNG).decode()


def send(**options: Any) -> list[Upload] | errors.LookseeError | int:
    """What `read` makes of a request: the uploads, its error, or the status of a framework's."""
    found: list[Upload] = []

    async def handle(request: Request) -> Response:
        try:
            form = await uploads.read(request, "images", context(SETTINGS), most=SETTINGS.max_files, names=["model"])
            found.extend(await form.pictures())
        except errors.LookseeError as error:
            raised.append(error)
            return error_responses.response(error)
        return JSONResponse({})

    raised: list[errors.LookseeError] = []

    async def main() -> int:
        transport = httpx.ASGITransport(Starlette(routes=[Route("/", handle, methods=["POST"])]))
        async with httpx.AsyncClient(transport=transport, base_url="http://looksee") as client:
            return (await client.post("/", **options)).status_code

    status = run(main())
    return raised[0] if raised else found if status == 200 else status


def form(*files: tuple[str, bytes], field: str = "images") -> list[Upload] | errors.LookseeError | int:
    return send(files=[(field, (name, content, "application/octet-stream")) for name, content in files])


def read(*files: tuple[str, bytes]) -> list[Upload]:
    found = form(*files)
    assert isinstance(found, list)
    return found


def test_the_limits_are_those_of_the_settings() -> None:
    assert image_limits(SETTINGS) == ImageLimits(file_bytes=1000, pixels=500, smallest_side=3)


def test_files_come_in_the_order_of_the_form() -> None:
    found = read(("c.png", PNG), ("a.jpg", JPEG), ("b.webp", WEBP), ("c.png", PNG))
    assert [upload.filename for upload in found] == ["c.png", "a.jpg", "b.webp", "c.png"]
    pictures = [upload.picture for upload in found]
    assert [picture.data for picture in pictures if isinstance(picture, Picture)] == [PNG, JPEG, WEBP, PNG]


def test_a_bad_file_does_not_spoil_its_neighbours() -> None:
    found = read(("good.png", PNG), ("bad.txt", b"text"), ("empty.png", b""), ("good.jpg", JPEG))
    kinds = [type(upload.picture) for upload in found]
    assert kinds == [Picture, errors.UnsupportedImageType, errors.EmptyFile, Picture]
    for upload in found[1:3]:
        assert isinstance(upload.picture, errors.LookseeError)
        assert upload.picture.param == "images"


def test_the_bytes_tell_the_type_and_not_the_name() -> None:
    (found,) = read(("picture.gif", PNG))
    assert isinstance(found.picture, Picture)
    assert found.picture.media_type == "image/png"


def test_a_file_that_is_too_long_is_not_read(monkeypatch: pytest.MonkeyPatch) -> None:
    lengths: list[int | None] = []
    original = UploadFile.read

    async def spy(self: UploadFile, size: int = -1) -> bytes:
        lengths.append(self.size)
        return await original(self, size)

    monkeypatch.setattr(UploadFile, "read", spy)
    long, good, edge = read(
        ("long.png", PNG + bytes(2000)), ("good.png", PNG), ("edge.png", PNG + bytes(1000 - len(PNG)))
    )
    assert isinstance(long.picture, errors.FileTooLarge)
    assert long.picture.message == f"The file has more than {mib(1000)}; MAX_CONTENT_LENGTH raises the limit."
    assert long.picture.param == "images"
    assert isinstance(good.picture, Picture)
    assert isinstance(edge.picture, Picture)
    assert lengths == [len(PNG), 1000]


@pytest.mark.parametrize("count", [4, 5])
def test_so_many_files_and_no_more(count: int) -> None:
    found = form(*[(f"{number}.png", PNG) for number in range(count)])
    if count == 4:
        assert isinstance(found, list)
        assert len(found) == 4
    else:
        assert isinstance(found, errors.TooManyFiles)
        wanted = "The request has 5 pictures; at most 4 are accepted; LOOKSEE_MAX_FILES raises the limit."
        assert (found.message, found.param) == (wanted, "images")


def test_a_file_in_another_field_is_not_passed_over() -> None:
    for files in (
        [("pictures", ("a.png", PNG))],
        [("images", ("a.png", PNG)), ("imagse", ("b.png", PNG))],
        [("images", ("a.png", PNG)), ("", ("b.png", PNG))],
    ):
        error = send(files=files)
        assert isinstance(error, errors.UnsupportedParameter)
        assert error.param == files[-1][0]
        assert "images, image, files, file" in error.message


def test_a_file_where_a_text_belongs_is_named() -> None:
    error = send(files=[("images", ("a.png", PNG)), ("model", ("a.txt", b"gemma"))])
    assert isinstance(error, errors.InvalidValue)
    assert error.param == "model"


@pytest.mark.parametrize("text", ["a.png", "@a.png", "/tmp/a.png", "C:\\a.png", "hello", "<svg></svg>", "caf\u00e9"])
def test_text_in_the_field_is_no_file(text: str) -> None:
    found = send(data={"images": text}, files=[("images", ("a.png", PNG))])
    assert isinstance(found, list)
    (wrong,) = [upload.picture for upload in found if not isinstance(upload.picture, Picture)]
    assert isinstance(wrong, errors.InvalidValue | errors.UnsupportedImageType)
    assert wrong.param == "images"
    assert text == "caf\u00e9" or "'images'" in wrong.message


@pytest.mark.parametrize("text", [ENCODED, f"data:image/png;base64,{ENCODED}", f" {ENCODED}\n"])
def test_a_picture_that_is_a_text_is_a_picture(text: str) -> None:
    found = send(data={"images": text}, files=[("images", ("a.jpg", JPEG))])
    assert isinstance(found, list)
    assert [upload.picture.data for upload in found if isinstance(upload.picture, Picture)] == [PNG, JPEG]
    assert [upload.filename for upload in found] == ["images.0", "a.jpg"]


@pytest.mark.parametrize(
    "options",
    [
        {"json": {"images": []}},
        {"data": {"images": "a"}},
        {"content": PNG, "headers": {"content-type": "image/png"}},
        {"content": b"x", "headers": {"content-type": "text/plain"}},
    ],
)
def test_another_content_type_is_not_accepted(options: dict[str, Any]) -> None:
    error = send(**options)
    assert isinstance(error, errors.UnsupportedMediaType)
    assert "multipart/form-data" in error.message


def test_nothing_at_all_is_told_what_to_send() -> None:
    assert isinstance(send(), errors.InvalidValue)


def test_the_content_type_may_be_in_capitals() -> None:
    body = b'--x\r\nContent-Disposition: form-data; name="images"; filename="a.png"\r\n\r\n' + PNG + b"\r\n--x--\r\n"
    found = send(content=body, headers={"content-type": "Multipart/Form-Data; boundary=x"})
    assert isinstance(found, list)
    assert isinstance(found[0].picture, Picture)


@pytest.mark.parametrize(
    ("content_type", "body"),
    [
        ("multipart/form-data", b"--x\r\n"),
        ("multipart/form-data; boundary=x", b"no boundary in here"),
        (
            "multipart/form-data; boundary=x",
            b'--x\r\nContent-Disposition: form-data; filename="a.png"\r\n\r\nx\r\n--x--\r\n',
        ),
    ],
    ids=["no boundary", "no parts", "no name"],
)
def test_a_form_that_is_none_is_the_callers_mistake(content_type: str, body: bytes) -> None:
    status = send(content=body, headers={"content-type": content_type})
    assert status == 400 or isinstance(status, errors.InvalidValue | errors.InvalidRequest), status


def test_a_form_that_makes_the_parser_fail_is_the_callers_mistake(monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*_: object, **__: object) -> None:
        raise LookupError("unknown encoding")

    monkeypatch.setattr(MultiPartParser, "parse", fail)
    error = form(("a.png", PNG))
    assert isinstance(error, errors.InvalidRequest)
    assert "encoding" not in error.message


@pytest.mark.parametrize(
    ("name", "shown"),
    [
        ("a" * 300 + ".png", "a" * 255),
        ("\u4e2d\u6587 1.png", "\u4e2d\u6587 1.png"),
        ("../../etc/passwd", "../../etc/passwd"),
    ],
)
def test_names_are_shown_as_they_came_but_not_without_end(name: str, shown: str) -> None:
    assert read((name, PNG))[0].filename == shown


def test_files_are_examined_in_a_thread(monkeypatch: pytest.MonkeyPatch) -> None:
    loops: list[bool] = []

    def examine(data: bytes, _: ImageLimits, *, param: str) -> Picture:
        try:
            asyncio.get_running_loop()
        except RuntimeError:
            loops.append(False)
        else:
            loops.append(True)
        return Picture(data, "", "image/png", 1, 1)

    monkeypatch.setattr(uploads, "examine", examine)
    assert len(read(("a.png", PNG), ("b.png", PNG))) == 2
    assert loops == [False, False]
