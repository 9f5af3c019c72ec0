"""Where a picture is taken as text it may be an address, in every dialect alike."""

from __future__ import annotations

import asyncio
import base64
from collections.abc import Callable, Iterator
from typing import Any

import httpx
import pytest
from starlette.responses import Response

from looksee.core import errors
from looksee.core.tasks import Task
from looksee.http.inputs import uploads
from looksee.http.inputs.fetching import Fetcher
from looksee.settings import Settings
from tests.http.app import Doors, content, context, error
from tests.support.files import plain
from tests.support.loops import run
from tests.support.picture_store import Store, storing

RED, BLUE = plain(size=(20, 10)), plain(size=(30, 10))
FILES = {"/red.png": RED, "/blue.png": BLUE, "/text.png": b"text", "/empty.png": b"", "/large.png": b"\x89" * 5000}
LIMITS: dict[str, Any] = {"max_file_bytes": 4000}


@pytest.fixture(scope="module")
def _store() -> Iterator[Store]:
    with storing(FILES) as found:
        yield found


@pytest.fixture
def store(_store: Store) -> Store:
    _store.asked.clear()
    return _store


def doors(store: Store, **settings: Any) -> Doors:
    networks = "127.0.0.0/8, ::1/128"
    return Doors(image_url_hosts=f"localhost:{store.port}", image_url_networks=networks, **LIMITS, **settings)


def chat(door: Doors, *images: str) -> httpx.Response:
    parts = [{"type": "image_url", "image_url": {"url": image}} for image in images]
    return door.send("/v1/chat/completions", json={"model": "gemma", "messages": [{"role": "user", "content": parts}]})


ASKING: list[tuple[Callable[..., Response | httpx.Response], str]] = [
    (lambda door, image: door.caption(image=image), "image"),
    (lambda door, image: door.query(image=image, question="What?"), "image"),
    (lambda door, image: door.detect(image=image, object="circle"), "image"),
    (lambda door, image: door.point(image=image, object="circle"), "image"),
    (lambda door, image: door.send("/v1/caption", json={"image_url": image}), "image_url"),
    (lambda door, image: door.send("/v1/query", json={"image_url": image, "question": "What?"}), "image_url"),
    (lambda door, image: door.send("/v1/detect", json={"image_url": image, "object": "circle"}), "image_url"),
    (lambda door, image: door.send("/v1/point", json={"image_url": image, "object": "circle"}), "image_url"),
    (lambda door, image: door.native(Task.CAPTION, images=[image], model="moondream"), "images.0"),
    (lambda door, image: door.native(Task.COLLECTIVE, images=[image], model="gemma"), "images"),
    (lambda door, image: chat(door, image), "messages.0.content.0.image_url"),
]
NAMES = ["caption", "query", "detect", "point", *(f"v1-{name}" for name in ("caption", "query", "detect", "point"))]
NAMES += ["caption_images", "collective", "chat"]


@pytest.mark.parametrize(("ask", "param"), ASKING, ids=NAMES)
def test_a_picture_is_fetched_and_answered_about_as_if_it_had_been_sent(
    store: Store, ask: Callable[..., Response | httpx.Response], param: str
) -> None:
    found = doors(store)
    answer = ask(found, f"{store.url}/red.png")
    assert answer.status_code == 200
    (jobs,) = [jobs for name in found.proxies for jobs in found.calls(name)]
    assert [job.images for job in jobs] == [(RED,)]
    sent = content(ask(found, base64.b64encode(RED).decode()))
    assert sent.get("cache", sent.get("results", [{}])[0].get("cache")) is True, "the cache knows it by its bytes"
    assert store.asked == ["/red.png"]


@pytest.mark.parametrize(("ask", "param"), ASKING, ids=NAMES)
@pytest.mark.parametrize(
    ("path", "expected"),
    [
        ("/none.png", (422, "image_not_fetched")),
        ("/text.png", (415, "unsupported_image_type")),
        ("/empty.png", (400, "empty_file")),
        ("/large.png", (413, "file_too_large")),
    ],
)
def test_what_is_not_a_picture_there_is_told(
    store: Store, ask: Callable[..., Response | httpx.Response], param: str, path: str, expected: tuple[int, str]
) -> None:
    found = doors(store)
    status, code = expected
    if param.startswith("messages"):
        status = 400  # as the chat's clients know it
    assert error(ask(found, store.url + path)) == (status, code, param)
    assert not any(found.calls(name) for name in found.proxies)


@pytest.mark.parametrize(("ask", "param"), ASKING, ids=NAMES)
def test_by_default_an_address_is_refused_and_nothing_is_asked(
    store: Store, ask: Callable[..., Response | httpx.Response], param: str
) -> None:
    for closed in (Doors(), Doors(image_url_networks="127.0.0.0/8"), Doors(image_url_hosts=f"*:{store.port}")):
        answer = ask(closed, f"{store.url}/red.png")
        assert error(answer) == (400, "image_url_not_allowed", param)
    assert "LOOKSEE_IMAGE_URL_HOSTS" in content(ask(Doors(), f"{store.url}/red.png"))["detail"]
    assert store.asked == []


def test_all_else_is_checked_before_anything_is_fetched(store: Store) -> None:
    found, url = doors(store), f"{store.url}/red.png"
    assert error(found.caption(image=url, length="epic"))[2] == "length"
    assert error(found.query(image=url, question=" "))[2] == "question"
    assert error(found.send("/v1/detect", json={"image_url": url, "object": ""}))[2] == "object"
    assert error(found.native(Task.CAPTION, images=[url], model="gpt"))[2] == "model"
    assert error(found.native(Task.CAPTION, images=[url] * 33, model="blip"))[1] == "too_many_files"
    assert store.asked == []


def test_pictures_of_both_kinds_keep_their_order_and_their_failures(store: Store) -> None:
    images = [f"{store.url}/blue.png", base64.b64encode(RED).decode(), f"{store.url}/none.png", f"{store.url}/red.png"]
    found = doors(store)
    results = content(found.native(Task.CAPTION, images=images, model="blip"))["results"]
    assert [one["filename"] for one in results] == [f"images.{number}" for number in range(4)]
    assert [one.get("error", {}).get("code") for one in results] == [None, None, "image_not_fetched", None]
    (jobs,) = found.calls("blip")
    assert {job.images for job in jobs} == {(BLUE,), (RED,)}


def test_pictures_that_are_fetched_are_bounded_together(store: Store) -> None:
    images = [f"{store.url}/red.png"] * 10
    enough = doors(store, max_request_bytes=10 * len(RED))
    assert enough.native(Task.CAPTION, images=images, model="blip").status_code == 200
    # Another timeout makes it another fetcher: this is another event loop.
    scarce = doors(store, max_request_bytes=10 * len(RED) - 1, image_url_timeout_seconds=9)
    assert error(scarce.native(Task.CAPTION, images=images, model="blip")) == (413, "request_too_large", "images")
    assert not scarce.calls("blip")
    scarce = doors(store, max_request_bytes=10 * len(RED) - 1, image_url_timeout_seconds=8)
    assert error(chat(scarce, *images)) == (413, "request_too_large", "messages")
    assert not scarce.calls("gemma")


def test_who_leaves_is_not_fetched_for(monkeypatch: pytest.MonkeyPatch) -> None:
    async def gone() -> dict[str, Any]:
        return {"type": "http.disconnect"}

    async def for_ever(*_: Any, **__: Any) -> bytes:
        await asyncio.Event().wait()
        return b""

    monkeypatch.setattr(Fetcher, "fetch", for_ever)

    settings = Settings.model_construct(image_url_hosts="*")
    with pytest.raises(errors.Cancelled):
        run(uploads.picture("https://pictures.invalid/a.png", context(settings, gone), param="image"))
    with pytest.raises(errors.Cancelled):
        run(uploads.decode(["https://pictures.invalid/a.png"] * 3, "images", context(settings, gone)))
