"""The captioning API of the running service."""

from __future__ import annotations

import base64
import json
import statistics
import time
from typing import Any

import httpx
import pytest

from tests.support import pictures
from tests.support.serving import Service

ROUTE = "/api/caption-images"


def post(service: Service, *files: tuple[str, bytes], **params: Any) -> httpx.Response:
    return service.client.post(ROUTE, params=params, files=[("images", file) for file in files])


def error(response: httpx.Response) -> tuple[int, str]:
    """Status and code, after checking the shape."""
    body = response.json()
    assert set(body) >= {"detail", "error"}
    assert set(body["error"]) == {"code", "message", "type", "param", "request_id"}
    assert body["error"]["message"] == body["detail"]
    assert body["error"]["request_id"] == response.headers["x-request-id"]
    return response.status_code, body["error"]["code"]


def test_captions_in_upload_order_with_tags(service: Service) -> None:
    files = [pictures.scene(number, kind=kind) for number, kind in enumerate(("PNG", "JPEG", "WEBP"))]
    response = post(service, *((f"{number}.bin", data) for number, (data, _) in enumerate(files)), model="blip")
    assert response.status_code == 200
    results = response.json()["results"]
    assert [result["caption"] for result in results] == [caption for _, caption in files]
    assert [result["filename"] for result in results] == ["0.bin", "1.bin", "2.bin"]
    first = results[0]
    _, colour, shape = files[0][1].split()
    assert first["tags"] == [colour, shape, f"{colour}_{shape}"]
    assert (first["flagged"], first["flag_evaluated"], first["cache"]) == (False, False, False)
    assert (first["model"], first["weights"]) == ("blip", "sample")
    assert first["revision"]
    assert "compute;dur=" in response.headers["server-timing"]


def test_the_second_answer_comes_from_the_cache_and_is_five_times_faster(service: Service) -> None:
    firsts: list[float] = []
    seconds: list[float] = []
    for number in range(10):
        data, caption = pictures.scene(f"cached-{number}", count=3)
        for times, cached in ((firsts, False), (seconds, True)):
            started = time.perf_counter()
            result = post(service, ("a.png", data)).json()["results"][0]
            times.append(time.perf_counter() - started)
            assert result["cache"] is cached
            assert result["caption"] == caption or not cached
    assert statistics.median(firsts) > 5 * statistics.median(seconds)


def test_another_prompt_is_never_answered_from_the_cache(service: Service) -> None:
    data, _ = pictures.scene("prompts")
    prompts = ["", "a photo of", "a drawing of", "a photo", "A photo of"]
    results = [post(service, ("a.png", data), caption_prompt=prompt).json()["results"][0] for prompt in prompts]
    assert [result["cache"] for result in results] == [False] * len(prompts)
    again = [post(service, ("a.png", data), caption_prompt=prompt).json()["results"][0] for prompt in prompts]
    assert [result["cache"] for result in again] == [True] * len(prompts)
    assert [result["caption"] for result in again] == [result["caption"] for result in results]


def test_the_same_file_twice_in_one_request_is_computed_once(service: Service) -> None:
    data, caption = pictures.scene("twice")
    before = service.metric("looksee_prefill_rows_sum", model="blip")
    results = post(service, ("a.png", data), ("b.png", data)).json()["results"]
    assert [result["caption"] for result in results] == [caption, caption]
    assert service.metric("looksee_prefill_rows_sum", model="blip") == before + 1


BAD = [
    ("corrupt", pictures.CORRUPT, 400, "corrupt_image"),
    ("truncated", pictures.truncated(), 400, "corrupt_image"),
    ("empty", b"", 400, "empty_file"),
    ("text", pictures.TEXT, 415, "unsupported_image_type"),
    ("1x1", pictures.tiny(), 422, "image_too_small"),
    ("bomb", pictures.bomb(), 413, "image_too_large"),
    ("oversized", pictures.tiny() + b"\x00" * (10 * 2**20), 413, "file_too_large"),
]


@pytest.mark.parametrize(("name", "data", "status", "code"), BAD, ids=[row[0] for row in BAD])
def test_a_bad_file_has_its_own_status_and_code(
    service: Service, name: str, data: bytes, status: int, code: str
) -> None:
    assert error(post(service, (f"{name}.jpg", data))) == (status, code)


def test_bad_files_do_not_spoil_their_neighbours(service: Service) -> None:
    good = [pictures.scene(f"neighbour-{number}") for number in range(len(BAD))]
    files = [
        file for pair in zip(((n, d) for n, d, *_ in BAD), (("g", d) for d, _ in good), strict=True) for file in pair
    ]
    response = post(service, *files)
    assert response.status_code == 200
    results = response.json()["results"]
    assert [result["error"]["code"] for result in results[::2]] == [row[3] for row in BAD]
    assert [result["caption"] for result in results[1::2]] == [caption for _, caption in good]


def test_strict_fails_the_request_for_any_failure(service: Service) -> None:
    data, _ = pictures.scene("strict")
    response = post(service, ("good.png", data), ("bad.jpg", pictures.TEXT), strict="true")
    assert error(response) == (415, "unsupported_image_type")
    assert [("error" in result) for result in response.json()["results"]] == [False, True]


def test_requests_that_are_wrong_as_a_whole(service: Service) -> None:
    data, _ = pictures.scene("wrong")
    file = ("a.png", data)
    assert error(post(service, file, model="gpt")) == (422, "unknown_model")
    assert "blip" in post(service, file, model="gpt").json()["detail"]
    assert error(service.client.post(ROUTE)) == (422, "invalid_value")
    assert error(service.client.post(ROUTE, json={})) == (415, "unsupported_media_type")
    assert error(post(service, *[file] * 33)) == (413, "too_many_files")
    assert error(post(service, file, caption_prompt="x" * 4001)) == (422, "prompt_too_long")
    assert error(post(service, file, caption_prompt="red " * 100)) == (422, "prompt_too_long")
    assert error(post(service, file, strict="perhaps")) == (422, "invalid_value")
    broken = service.client.post(
        ROUTE, content=b"--x\r\nnonsense", headers={"content-type": "multipart/form-data; boundary=x"}
    )
    assert broken.status_code in (400, 422)
    assert error(broken)


def test_an_oversized_body_is_refused_announced_or_not(service: Service) -> None:
    size = 65 * 2**20
    announced = service.client.post(
        ROUTE, content=b"\x00" * size, headers={"content-type": "multipart/form-data; boundary=x"}
    )
    assert error(announced) == (413, "request_too_large")

    def chunks() -> Any:
        yield b'--x\r\nContent-Disposition: form-data; name="images"; filename="a"\r\n\r\n'
        for _ in range(size // 2**16):
            yield b"\x00" * 2**16

    chunked = service.client.post(ROUTE, content=chunks(), headers={"content-type": "multipart/form-data; boundary=x"})
    assert error(chunked) == (413, "request_too_large")
    assert post(service, ("a.png", pictures.scene("after")[0])).status_code == 200


NATIVE = ["/caption", "/query", "/detect", "/point", "/caption_images", "/collective"]
V1 = ["/v1/caption", "/v1/query", "/v1/detect", "/v1/point", "/v1/chat/completions", "/v1/batch"]
FORM, ESCAPED = "multipart/form-data; boundary=x", "application/x-www-form-urlencoded"


@pytest.mark.parametrize("kind", ["application/json", FORM, "multipart/mixed; boundary=x", ESCAPED, "text/plain", None])
@pytest.mark.parametrize("route", [*NATIVE, *V1])
def test_json_of_many_small_values_is_refused_before_it_is_parsed(
    service: Service, route: str, kind: str | None
) -> None:
    headers = {} if kind is None else {"content-type": kind}
    # A field of a form has a MiB at most, so there are several.
    for content in ((b'{"extra": [' + b"0," * 200_000 + b"&") * 6, (b"image=%5B" + b"0%2C" * 200_000 + b"&") * 6):
        response = service.client.post(route, content=content, headers=headers)
        if route in NATIVE and kind is not None and kind.startswith("multipart/"):
            assert error(response) == (415, "unsupported_media_type")
        else:
            assert error(response) == (413, "request_too_large")
            assert "1,000,000 values" in response.json()["detail"]


@pytest.mark.parametrize(("route", "field"), [(ROUTE, "images"), ("/upload/caption", "file")])
def test_a_file_may_hold_any_byte(service: Service, route: str, field: str) -> None:
    response = service.client.post(route, files={field: ("a.png", b"[" * 1_200_000)})
    assert error(response) == (415, "unsupported_image_type")


@pytest.mark.parametrize("kind", ["application/json", FORM, ESCAPED, "text/plain", None])
def test_a_json_route_takes_json_whatever_the_content_type_says(service: Service, kind: str | None) -> None:
    data, caption = pictures.scene("whatever the type")
    content = json.dumps({"image_url": base64.b64encode(data).decode(), "model": "blip"}).encode()
    headers = {} if kind is None else {"content-type": kind}
    assert service.client.post("/v1/caption", content=content, headers=headers).json()["caption"] == caption


def test_a_native_route_takes_its_members_from_a_form_as_curl_sends_it(service: Service) -> None:
    data, caption = pictures.scene("as curl sends it")
    form = {"image": base64.b64encode(data).decode(), "model": "blip"}
    assert service.client.post("/caption", data=form).json()["caption"] == caption


@pytest.mark.parametrize("value", ["x" * (2**20 + 1), "[" * 100_000], ids=["too long", "too deep"])
def test_a_form_that_a_native_route_cannot_read_is_the_callers_mistake(service: Service, value: str) -> None:
    assert error(service.client.post("/caption", data={"image": value})) == (400, "invalid_request")
