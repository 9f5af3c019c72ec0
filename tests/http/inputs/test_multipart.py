"""Forms as clients write them: every picture counts, whatever its part says, and what is no form is told so."""

from __future__ import annotations

import base64
from collections.abc import Sequence
from typing import Any

import httpx
import pytest

from tests.http.app import Doors, content, error
from tests.support.files import plain

PNG, JPEG = plain("PNG"), plain("JPEG")
CAPTIONS, TOGETHER = "/api/caption-images", "/api/caption-collective-images"
UPLOADS = ("/upload/caption", "/upload/detect")
LARGE = PNG + bytes(3 * 2**20)  # a whole picture, with something behind it
Part = tuple[str, bytes]


def body(parts: Sequence[Part], *, before: bytes = b"", behind: bytes = b"", boundary: str = "x") -> bytes:
    joined = b"".join(
        b"--%s\r\n%s\r\n\r\n%s\r\n" % (boundary.encode(), head.encode("latin-1"), data) for head, data in parts
    )
    return before + joined + b"--%s--" % boundary.encode() + behind


def ask(path: str, content: bytes, kind: str = "multipart/form-data; boundary=x", **settings: Any) -> httpx.Response:
    return Doors(**settings).send(path, content=content, headers={"Content-Type": kind})


def head(name: str, *more: str) -> str:
    return "\r\n".join([f'Content-Disposition: form-data; name="{name}"', *more])


NAMED = ('Content-Disposition: form-data; name="images"; filename="a.png"\r\nContent-Type: image/png', PNG)
NAMELESS = [
    head("images", "Content-Type: image/png"),
    head("images"),
    head("images", "Content-Type: text/plain; charset=utf-8"),
    head("images", "content-type: application/octet-stream", "Content-Length: 1"),
    head("images[]"),
    head("images[1]", "Content-Type: image/jpeg"),
    head("image", "Content-Type: image/png"),
    head("file"),
    head("files[]"),
    'Content-Disposition: form-data; name="images"; filename=""',
    "Content-Disposition: form-data; name=images",
    "content-disposition:form-data;name=images",
    'Content-Type: image/png\r\nContent-Disposition: form-data; name="images"',
]


@pytest.mark.parametrize("wrote", NAMELESS)
@pytest.mark.parametrize("data", [PNG, JPEG, LARGE], ids=["png", "jpeg", "large"])
def test_a_picture_without_a_file_name_is_a_picture(wrote: str, data: bytes) -> None:
    form = body([NAMED, (wrote, data)])
    doors = Doors()
    each = doors.send(CAPTIONS, content=form, headers={"Content-Type": "multipart/form-data; boundary=x"})
    assert content(each)["results"][0]["filename"] == "a.png"
    assert [result["caption"] for result in content(each)["results"]] == ["a red circle"] * 2
    assert {job.images[0] for call in doors.calls("blip") for job in call} == {PNG, data}
    together = ask(TOGETHER, form)
    assert (together.status_code, content(together)["count"]) == (200, 2)


@pytest.mark.parametrize("wrote", NAMELESS)
@pytest.mark.parametrize("path", UPLOADS)
def test_one_picture_may_stand_under_any_usual_name(path: str, wrote: str) -> None:
    doors = Doors()
    form = body([(wrote, PNG), (head("model"), b"moondream")] + ([(head("object"), b"it")] if "detect" in path else []))
    answer = doors.send(path, content=form, headers={"Content-Type": "multipart/form-data; boundary=x"})
    assert answer.status_code == 200, answer.text
    assert doors.calls("moondream")[0][0].images == (PNG,)


def test_nameless_pictures_are_named_by_their_places_in_answers() -> None:
    answer = ask(CAPTIONS, body([NAMED, (head("images"), PNG), (head("file"), b"GIF89b")]))
    results = content(answer)["results"]
    assert [result["filename"] for result in results] == ["a.png", "images.1", "file.2"]
    assert "error" in results[2]
    refused = ask(TOGETHER, body([NAMED, (head("images"), b"\x00\x01")]))
    assert "'images.1'" in content(refused)["detail"]


@pytest.mark.parametrize(
    ("wrote", "shown"),
    [
        ("filename*=UTF-8''caf%C3%A9.png", "caf\u00e9.png"),
        ("filename=\"x.png\"; filename*=utf-8'de'%e2%82%ac.png", "\u20ac.png"),
        ("filename*=ISO-8859-1''caf%E9.png", "caf\u00e9.png"),
        ('filename="caf\u00c3\u00a9.png"', "caf\u00e9.png"),
        ('filename="a%22b.png"', 'a"b.png'),
        ('filename="a\\"b.png"', 'a"b.png'),
        ('filename="100%.png"', "100%.png"),
        ('filename="a;b.png"', "a;b.png"),
        ("filename=a.png", "a.png"),
        ('filename="C:\\\\pictures\\\\a.png"', "a.png"),
    ],
)
def test_file_names_come_back_as_they_are(wrote: str, shown: str) -> None:
    answer = ask(CAPTIONS, body([(f'Content-Disposition: form-data; name="images"; {wrote}', PNG)]))
    (result,) = content(answer)["results"]
    assert (result["filename"], result["caption"]) == (shown, "a red circle")


def test_a_quote_comes_back_as_httpx_sends_it() -> None:
    (result,) = content(Doors().captions(('a "b".png', PNG)))["results"]
    assert result["filename"] == 'a "b".png'


@pytest.mark.parametrize(
    "before", [b"This is a form.\r\n", b"\r\n", b"\n", b"a - b\r\n--y\r\n\r\n", b"x" * 100_000 + b"\r\n", b"--\r\n"]
)
def test_what_stands_before_the_first_part_is_passed_over(before: bytes) -> None:
    form = body([NAMED, NAMED], before=before, behind=b"\r\nThe end.")
    assert len(content(ask(CAPTIONS, form))["results"]) == 2


@pytest.mark.parametrize("size", [1, 2, 7, 61])
def test_a_form_may_come_in_small_pieces(size: int) -> None:
    form = body([NAMED, (head("images"), PNG)], before=b"--\r\nbefore\r\n")

    async def pieces() -> Any:
        for start in range(0, len(form), size):
            yield form[start : start + size]

    answer = Doors().send(CAPTIONS, content=pieces(), headers={"Content-Type": "multipart/form-data; boundary=x"})
    assert [result.get("caption") for result in content(answer)["results"]] == ["a red circle"] * 2


@pytest.mark.parametrize(
    "kind",
    [
        'multipart/form-data; boundary="x"',
        "multipart/form-data;boundary=x",
        "Multipart/Form-Data; charset=utf-8; BOUNDARY=x",
        "multipart/form-data; boundary=x; charset=latin-1",
    ],
)
def test_a_boundary_may_be_written_in_any_way(kind: str) -> None:
    assert ask(CAPTIONS, body([NAMED]), kind).status_code == 200


@pytest.mark.parametrize("boundary", ["----WebKitFormBoundary7MA4YWxk", "a b", "'()+_,-./:=?", "x" * 70])
def test_any_boundary_will_do(boundary: str) -> None:
    assert ask(CAPTIONS, body([NAMED], boundary=boundary), f'multipart/form-data; boundary="{boundary}"').is_success


FORM = body([NAMED])
NO_FORM: list[tuple[str, bytes, int, str]] = [
    ("multipart/form-data", FORM, 400, "no boundary"),
    ("multipart/form-data;", FORM, 400, "no boundary"),
    ('multipart/form-data; boundary=""', FORM, 400, "no boundary"),
    ("multipart/form-data; boundary=y", FORM, 400, "does not occur"),
    ("multipart/form-data; boundary=X", FORM, 400, "does not occur"),
    ("multipart/form-data; boundary=x", PNG, 400, "does not occur"),
    ("multipart/form-data; boundary=x", b'{"images": []}', 400, "does not occur"),
    ("multipart/form-data; boundary=x", FORM[:-3], 400, "breaks off"),
    ("multipart/form-data; boundary=x", FORM[:-20], 400, "breaks off"),
    ("multipart/form-data; boundary=x", FORM.replace(b"\r\n", b"\n"), 400, "could not be read"),
    ("multipart/form-data; boundary=x", body([("Content-Type: image/png", PNG)]), 400, "has no name"),
    ("multipart/form-data; boundary=x", body([(head("caption_prompt"), b"x" * 2**21), NAMED]), 400, "1 MiB"),
    ("multipart/form-data; boundary=x", body([(head("strict"), b"true")] * 1001), 400, "1000 fields"),
    ("multipart/form-data; boundary=x", body([NAMED] * 1001), 413, "1000 files"),
    ("multipart/mixed; boundary=x", FORM, 415, "not as multipart/mixed"),
    ("application/x-www-form-urlencoded", b"images=a", 415, "not as application/x-www-form-urlencoded"),
    ("application/json", b"{}", 415, "/caption_images"),
    ("image/png", PNG, 415, "not as image/png"),
    ("", FORM, 415, "multipart/form-data"),
]


@pytest.mark.parametrize(("kind", "sent", "status", "words"), NO_FORM, ids=range(len(NO_FORM)))
def test_what_is_no_form_is_told_why(kind: str, sent: bytes, status: int, words: str) -> None:
    answer = ask(CAPTIONS, sent, kind)
    assert error(answer)[0] == status
    assert words in content(answer)["detail"]


def test_a_form_without_its_header_is_no_form() -> None:
    answer = Doors().send(CAPTIONS, content=FORM)
    assert error(answer) == (415, "unsupported_media_type", None)


def test_json_for_one_picture_is_told_where_it_belongs() -> None:
    answer = Doors().send("/upload/detect", json={"image": ""})
    assert "goes to /detect" in content(answer)["detail"]


def test_nothing_chosen_beside_a_picture_is_no_picture() -> None:
    nothing = (
        'Content-Disposition: form-data; name="images"; filename=""\r\nContent-Type: application/octet-stream',
        b"",
    )
    assert len(content(ask(CAPTIONS, body([nothing, NAMED, (head("image"), b"")])))["results"]) == 1


def test_an_empty_picture_is_an_error_of_its_own() -> None:
    for empty in (head("images", "Content-Type: image/png"), head("images") + '; filename="b.png"'):
        results = content(ask(CAPTIONS, body([NAMED, (empty, b"")])))["results"]
        assert results[1]["error"]["code"] == "empty_file"


@pytest.mark.parametrize("path", UPLOADS)
def test_two_pictures_under_two_names_are_two(path: str) -> None:
    answer = ask(path, body([NAMED, (head("file"), PNG)]))
    assert error(answer) == (413, "too_many_files", "file")


def test_a_picture_may_be_written_in_base64() -> None:
    lines = base64.encodebytes(PNG)
    for name in ('; filename="b.png"', ""):
        wrote = head("images") + name + "\r\nContent-Transfer-Encoding: BASE64"
        results = content(ask(CAPTIONS, body([NAMED, (wrote, lines)])))["results"]
        assert [result.get("caption") for result in results] == ["a red circle"] * 2
    wrote = head("images") + "\r\nContent-Transfer-Encoding: base64"
    assert error(ask(CAPTIONS, body([(wrote, b"a")])))[0] == 400
    assert error(ask(CAPTIONS, body([(wrote, base64.b64encode(bytes(2000)))]), max_file_bytes=1000))[:2] == (
        413,
        "file_too_large",
    )


def test_a_nameless_picture_has_the_limits_of_a_file() -> None:
    answer = ask(CAPTIONS, body([(head("images"), LARGE)]), max_file_bytes=2**20)
    assert error(answer) == (413, "file_too_large", "images")
