"""`/v1/pictures`, and ids in the place of pictures on every route and in every dialect."""

from __future__ import annotations

import base64
import json
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

import httpx
import pytest

from looksee.core.tasks import Task
from looksee.gateway.kept_pictures import KeptPictures
from looksee.http.app import ROUTES
from looksee.http.edge.access.api_keys import ApiKeys
from looksee.http.edge.access.auth import AccessControl
from looksee.http.edge.middleware import EdgeMiddleware
from tests.http.app import Doors, content, error
from tests.support.files import plain
from tests.support.loops import run

PNG = plain()
URI = f"data:image/png;base64,{base64.b64encode(PNG).decode()}"
UNKNOWN = f"sha256:{'0' * 64}"


class SiteOfPictures:
    """The doors behind the edge; `keys` are those of clients."""

    def __init__(self, *keys: str, max_uploads: int | None = None, **settings: Any) -> None:
        self.doors = Doors(**settings)
        access = AccessControl(ApiKeys(keys), ApiKeys([]))
        self.edge = EdgeMiddleware(
            self.doors.app, access, ROUTES, max_body=10**6, timeout=60, longest=80, max_uploads=max_uploads
        )

    def ask(self, method: str, path: str, *, key: str = "", **how: Any) -> httpx.Response:
        async def main() -> httpx.Response:
            transport = httpx.ASGITransport(self.edge, raise_app_exceptions=False)
            async with httpx.AsyncClient(transport=transport, base_url="http://looksee") as client:
                headers = {**how.pop("headers", {}), **({"X-API-Key": key} if key else {})}
                return await client.request(method, path, headers=headers, **how)

        return run(main())

    def put(self, data: bytes = PNG, **how: Any) -> str:
        answer = self.ask("PUT", "/v1/pictures", content=data, **how)
        assert answer.status_code == 200, answer.text
        found: str = answer.json()["id"]
        return found


def test_a_picture_is_kept_and_described() -> None:
    site = SiteOfPictures()
    sent = site.ask("PUT", "/v1/pictures", content=PNG).json()
    expires = datetime.fromisoformat(sent["expires_at"])
    assert 3500 < (expires - datetime.now(UTC)).total_seconds() <= 3600
    assert sent == {
        "id": sent["id"],
        "object": "picture",
        "bytes": len(PNG),
        "width": 20,
        "height": 10,
        "media_type": "image/png",
        "expires_at": sent["expires_at"],
    }
    assert site.ask("GET", f"/v1/pictures/{sent['id']}").json() == sent
    assert site.ask("GET", f"/v1/pictures/{sent['id'].upper()}/").json() == sent
    head = site.ask("HEAD", f"/v1/pictures/{sent['id']}")
    assert (head.status_code, head.content) == (200, b"")


def test_a_form_and_a_raw_body_give_one_id() -> None:
    site = SiteOfPictures()
    by_form = site.ask("PUT", "/v1/pictures", files={"file": ("a.png", PNG)})
    assert by_form.json()["id"] == site.put() == site.put(headers={"Content-Type": "image/jpeg"})


def test_a_picture_is_dropped() -> None:
    site = SiteOfPictures()
    id = site.put()
    assert site.ask("DELETE", f"/v1/pictures/{id}").json() == {"id": id, "object": "picture", "deleted": True}
    for method in ("GET", "DELETE"):
        assert error(site.ask(method, f"/v1/pictures/{id}")) == (404, "picture_not_found", "id")
    assert site.ask("HEAD", f"/v1/pictures/{id}").status_code == 404


@pytest.mark.parametrize(
    ("wrong", "told"),
    [
        ({"content": b""}, (400, "empty_file", "file")),
        ({"content": b"hello"}, (415, "unsupported_image_type", "file")),
        ({"content": PNG[:40]}, (400, "corrupt_image", "file")),
        ({"content": PNG + bytes(2000)}, (413, "file_too_large", "file")),
        ({"json": {"image": URI}}, (415, "unsupported_media_type", None)),
        ({"files": {"other": ("a.png", PNG)}}, (400, "unsupported_parameter", "other")),
        ({"files": [("file", PNG), ("file", PNG)]}, (413, "too_many_files", "file")),
        ({"content": PNG, "params": {"model": "blip"}}, (400, "unsupported_parameter", "model")),
    ],
    ids=str,
)
def test_what_is_no_picture_is_not_kept(wrong: dict[str, Any], told: tuple[int, str, str | None]) -> None:
    assert error(SiteOfPictures(max_file_bytes=2000).ask("PUT", "/v1/pictures", **wrong)) == told


Ask = Callable[[SiteOfPictures, str], httpx.Response]


def post(path: str, **body: Any) -> Ask:
    def put_in(value: Any, picture: str) -> Any:
        if isinstance(value, dict):
            return {name: put_in(one, picture) for name, one in value.items()}
        if isinstance(value, list):
            return [put_in(one, picture) for one in value]
        return picture if value == "PICTURE" else value

    return lambda site, picture: site.ask("POST", path, json=put_in(body, picture))


def form(path: str, field: str, **fields: str) -> Ask:
    def ask(site: SiteOfPictures, picture: str) -> httpx.Response:
        file = (None, picture) if not picture.startswith("data:") else ("a.png", PNG)
        return site.ask("POST", path, files=[(field, file)], data=fields)

    return ask


_CHAT = [{"role": "user", "content": [{"type": "image_url", "image_url": {"url": "PICTURE"}}]}]
EVERYWHERE: dict[str, Ask] = {
    "caption": post("/v1/caption", image_url="PICTURE"),
    "query": post("/v1/query", image_url="PICTURE", question="What?"),
    "detect": post("/v1/detect", image_url="PICTURE", object="circle"),
    "point": post("/v1/point", image_url="PICTURE", object="circle"),
    "chat": post("/v1/chat/completions", model="gemma", messages=_CHAT),
    "ollama": post("/api/generate", model="gemma", prompt="What?", images=["PICTURE"], stream=False),
    "batch": post("/v1/batch", items=[{"image": "PICTURE"}]),
    "batch by name": post("/v1/batch", images={"one": "PICTURE"}, items=[{"image": "one"}]),
    "batch together": post("/v1/batch", items=[{"task": "collective", "images": ["PICTURE"]}]),
    "form": form("/upload/detect", "file", object="circle"),
    "captions": form("/api/caption-images", "images"),
    "collective": form("/api/caption-collective-images", "images"),
}


@pytest.mark.parametrize("where", EVERYWHERE)
def test_an_id_is_taken_wherever_a_picture_is_and_is_the_same_picture(where: str) -> None:
    site = SiteOfPictures()
    id = site.put()
    by_bytes = EVERYWHERE[where](site, URI)
    jobs = [job for model in site.doors.proxies for call in site.doors.calls(model) for job in call]
    by_id = EVERYWHERE[where](site, id)
    after = [job for model in site.doors.proxies for call in site.doors.calls(model) for job in call]
    assert by_bytes.status_code == by_id.status_code == 200, by_id.text
    assert jobs == after != [], "the answer is in the cache"
    assert all(job.images == (PNG,) for job in jobs)
    assert '"cache":true' in by_id.text.replace(" ", "") or where == "ollama"


@pytest.mark.parametrize("where", EVERYWHERE)
def test_an_id_of_no_picture_is_told_to_be_sent_again(where: str) -> None:
    site = SiteOfPictures()
    answer = EVERYWHERE[where](site, UNKNOWN)
    assert "picture_not_found" in answer.text
    assert "PUT /v1/pictures" in answer.text
    assert answer.status_code == (200 if where.startswith("batch") else 404)
    assert not [job for model in site.doors.proxies for job in site.doors.calls(model)]


def test_native_methods_take_ids_too() -> None:
    doors = Doors()
    kept = run(_kept(doors))
    id = f"sha256:{kept}"
    assert content(doors.caption(image=id))["caption"] == "a red circle"
    assert content(doors.native(Task.COLLECTIVE, images=[id, id], model="gemma"))["count"] == 2
    assert error(doors.caption(image=UNKNOWN)) == (404, "picture_not_found", "image")


async def _kept(doors: Doors) -> str:
    from looksee.core.images import ImageLimits, examine

    kept = await doors.answering.pictures.keep("", examine(PNG, ImageLimits(10**6, 10**6, 1)))
    return kept.digest


@pytest.mark.parametrize("text", ["sha256:", "sha256:12", f"sha256:{'g' * 64}", f" SHA256:{'0' * 63}"])
def test_what_only_begins_as_an_id_is_told_what_one_is(text: str) -> None:
    answer = SiteOfPictures().ask("POST", "/v1/caption", json={"image_url": text})
    assert error(answer) == (422, "invalid_value", "image_url")
    assert "64 hex digits" in answer.text


def test_a_key_sees_its_own_pictures_alone() -> None:
    site = SiteOfPictures("mine", "yours")
    id = site.put(key="mine")
    path, body = f"/v1/pictures/{id}", {"image_url": id}
    assert site.ask("POST", "/v1/caption", json=body, key="mine").status_code == 200
    assert error(site.ask("POST", "/v1/caption", json=body, key="yours")) == (404, "picture_not_found", "image_url")
    for method in ("GET", "HEAD", "DELETE"):
        assert site.ask(method, path, key="yours").status_code == 404
        assert site.ask(method, path).status_code == 401
    assert site.put(key="yours") == id
    assert site.ask("DELETE", path, key="yours").status_code == 200
    assert site.ask("GET", path, key="mine").status_code == 200


def test_a_service_may_keep_none() -> None:
    site = SiteOfPictures()
    site.doors.answering.pictures = KeptPictures(max_pictures=0)
    assert error(site.ask("PUT", "/v1/pictures", content=PNG)) == (501, "not_offered", None)
    assert error(site.ask("GET", f"/v1/pictures/{UNKNOWN}")) == (404, "picture_not_found", "id")


def test_ids_lead_to_no_more_than_a_request_may_have() -> None:
    site = SiteOfPictures(max_request_bytes=2 * len(PNG))
    id = site.put()
    parts = [("images", (None, id))]
    assert site.ask("POST", "/api/caption-images", files=parts * 2).status_code == 200
    assert error(site.ask("POST", "/api/caption-images", files=parts * 3))[:2] == (413, "request_too_large")
    messages = [{"role": "user", "content": [{"type": "image_url", "image_url": {"url": id}}] * 3}]
    answer = site.ask("POST", "/v1/chat/completions", json={"model": "gemma", "messages": messages})
    assert error(answer) == (413, "request_too_large", "messages")


def test_what_ids_lead_to_counts_among_the_bytes_of_requests_under_way() -> None:
    large = PNG + bytes(200_000)  # behind a picture's end anything may stand
    site = SiteOfPictures(max_uploads=250_000)
    id = site.put(large)
    once = {"images": [("images", (None, id))], "twice": [("images", (None, id))] * 2}
    assert site.ask("POST", "/api/caption-images", files=once["images"]).status_code == 200
    told = site.ask("POST", "/api/caption-images", files=once["twice"]).json()["results"]
    assert [one.get("error", {}).get("code") for one in told] == [None, "overloaded"]


def test_ids_are_written_nowhere(caplog: pytest.LogCaptureFixture) -> None:
    site = SiteOfPictures()
    with caplog.at_level("DEBUG"):
        id = site.put()
        site.ask("GET", f"/v1/pictures/{id}")
        site.ask("DELETE", f"/v1/pictures/{id}")
        site.ask("POST", "/v1/caption", json={"image_url": id})
    said = [record.getMessage() for record in caplog.records if record.name.startswith("looksee")]
    assert any("/v1/pictures/{id}" in line for line in said)
    assert not [line for line in said if id[7:20] in line]


def test_a_batch_of_many_pictures_is_not_counted_as_held() -> None:
    large = PNG + bytes(100_000)
    site = SiteOfPictures(max_uploads=150_000)
    id = site.put(large)
    lines = site.ask("POST", "/v1/batch", json={"items": [{"image": id}, {"image": id}, {"image": id}]}).text
    assert json.loads(lines.splitlines()[-1]) == {"done": True, "succeeded": 3, "failed": 0}


def test_a_wrong_method_is_told_all_that_there_are() -> None:
    site = SiteOfPictures()
    answer = site.ask("PATCH", f"/v1/pictures/{UNKNOWN}")
    assert error(answer) == (405, "method_not_allowed", None)
    assert answer.headers["allow"] == "DELETE, GET"
    assert site.ask("POST", "/v1/pictures").headers["allow"] == "PUT"


def test_a_form_may_renew_a_picture_by_its_id() -> None:
    site = SiteOfPictures()
    id = site.put()
    assert site.ask("PUT", "/v1/pictures", files={"file": (None, id)}).json()["id"] == id
    assert error(site.ask("PUT", "/v1/pictures", files={"file": (None, UNKNOWN)})) == (404, "picture_not_found", "file")
