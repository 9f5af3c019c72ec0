"""Lines of the log: JSON or text, with the request's id, one for each request, and never what was asked or shown."""

from __future__ import annotations

import asyncio
import base64
import io
import json
import logging
from collections.abc import Callable, Iterator
from typing import Any
from urllib.parse import quote

import httpx
import pytest
from prometheus_client import REGISTRY

from looksee.core import errors, logs
from looksee.core.tasks import Job
from looksee.engine.engine import Engine
from looksee.engine.limits import EngineLimits
from looksee.http.app import ROUTES
from looksee.http.edge.access.api_keys import ApiKeys
from looksee.http.edge.access.auth import AccessControl
from looksee.http.edge.middleware import EdgeMiddleware
from tests.engine.toy import ToyModel, job
from tests.http.app import Doors, Said
from tests.support.files import plain
from tests.support.loops import run

KEY, PROMPT, FILENAME = "s3cret-key", "a portrait of mister X", "passport-of-mister-x.png"


class Lines(logging.StreamHandler[io.StringIO]):
    """A handler at the root, as BentoML has one, that keeps what it writes."""

    def __init__(self) -> None:
        super().__init__(io.StringIO())
        self.addFilter(lambda record: not record.name.startswith("http"))  # the tests' own client

    @property
    def text(self) -> list[str]:
        return self.stream.getvalue().splitlines()

    @property
    def json(self) -> list[dict[str, Any]]:
        return [json.loads(line) for line in self.text]


@pytest.fixture
def configured() -> Iterator[Callable[[logs.Format], Lines]]:
    """Logging as in a process that serves: a handler of BentoML's at the root, and our form for it."""
    root, ours, lines = logging.getLogger(), logging.getLogger("looksee"), Lines()
    handlers, levels = root.handlers[:], (root.level, ours.level)

    def configure(form: logs.Format) -> Lines:
        root.handlers[:] = [lines]
        logs.configure(form)
        return lines

    yield configure
    root.handlers[:] = handlers
    root.setLevel(levels[0])
    ours.setLevel(levels[1])


class Site:
    """The doors behind a door that asks for a key."""

    def __init__(self, says: Callable[[Job], Said] | None = None) -> None:
        self.doors = Doors(says, request_timeout_seconds=60) if says else Doors(request_timeout_seconds=60)
        self.door = EdgeMiddleware(
            self.doors.app, AccessControl(ApiKeys([KEY]), ApiKeys([])), ROUTES, max_body=10**5, timeout=60, longest=80
        )

    def ask(self, method: str, path: str, key: str = KEY, **how: Any) -> httpx.Response:
        async def main() -> httpx.Response:
            async with httpx.AsyncClient(transport=httpx.ASGITransport(self.door), base_url="http://looksee") as client:
                headers = {"X-API-Key": key, "X-Request-ID": "mine"}
                return await client.request(method, path, headers=headers, **how)

        return run(main())

    def captions(self, *pictures: bytes, key: str = KEY, **params: str) -> httpx.Response:
        files = [("images", (FILENAME, data)) for data in pictures]
        return self.ask("POST", "/api/caption-images", key, files=files, params={"caption_prompt": PROMPT, **params})


def test_requests_are_counted_by_status_and_code_and_probes_are_not() -> None:
    def counted() -> dict[tuple[str, str], float]:
        samples = [one for metric in REGISTRY.collect() for one in metric.samples]
        ours = [one for one in samples if one.name == "looksee_http_requests_total"]
        return {(one.labels["status"], one.labels["code"]): one.value for one in ours}

    site, before = Site(), counted()
    assert site.captions(plain()).status_code == 200
    assert site.captions(plain(), key="wrong").status_code == 403
    assert site.ask("GET", "/healthz").status_code == 200
    after = counted()
    more = {key: value - before.get(key, 0) for key, value in after.items() if value != before.get(key, 0)}
    assert more == {("200", ""): 1, ("403", "wrong_key"): 1}


def test_a_request_is_one_line_with_what_became_of_it(configured: Callable[[logs.Format], Lines]) -> None:
    site, lines = Site(), configured("json")
    red, blue = plain(), plain(colour=(0, 0, 200))
    site.captions(red, model="gemma")
    answer = site.captions(red, blue, model="gemma")
    _, line = lines.json
    assert line.pop("time").endswith("+00:00")
    assert line.pop("ms") > 0
    assert line.pop("bytes_in") > len(red) + len(blue)
    assert line == {
        "level": "info",
        "logger": "looksee.access",
        "process": "",
        "request_id": "mine",
        "method": "POST",
        "path": "/api/caption-images",
        "status": 200,
        "bytes_out": len(answer.content),
        "model": "gemma",
        "answers": 2,
        "cached": 1,
    }


def test_a_refusal_is_a_line_too(configured: Callable[[logs.Format], Lines]) -> None:
    site, lines = Site(), configured("json")
    site.captions(plain(), key="wrong")
    site.captions(plain(), model="gpt")
    site.ask("GET", "/no/such/place")
    site.captions(b"x" * 200_000)
    found = [(line["path"], line["status"], line["error"]) for line in lines.json]
    assert found == [
        ("/api/caption-images", 403, "wrong_key"),
        ("/api/caption-images", 422, "unknown_model"),
        (None, 404, "not_found"),
        ("/api/caption-images", 413, "request_too_large"),
    ]
    assert lines.json[0]["bytes_in"] == 0


def test_the_page_and_probes_are_not_told_of_unless_they_fail(configured: Callable[[logs.Format], Lines]) -> None:
    site, lines = Site(), configured("json")
    for path in ("/", "/healthz", "/docs", "/ui/icon.svg"):
        assert site.ask("GET", path).status_code == 200
    assert lines.text == []
    site.ask("POST", "/healthz")
    assert [line["status"] for line in lines.json] == [405]
    logging.getLogger("looksee").setLevel(logging.DEBUG)
    site.ask("GET", "/healthz")
    assert lines.json[-1]["path"] == "/healthz"


@pytest.mark.parametrize("form", ["text", "json"])
@pytest.mark.parametrize("level", [logging.INFO, logging.DEBUG])
def test_nothing_that_was_asked_shown_or_secret_is_ever_told(
    form: logs.Format, level: int, configured: Callable[[logs.Format], Lines]
) -> None:
    def fails(job: Job) -> Said:
        return errors.RunnerFailed("The model failed on this request.")

    lines = configured(form)
    logging.getLogger().setLevel(level)
    logging.getLogger("looksee").setLevel(level)
    flag = f"Is it {PROMPT}?"
    for site in (Site(), Site(fails)):
        for key in (KEY, f"wrong-{KEY}"):
            site.captions(plain(), model="gemma", flag_caption_prompt=flag, key=key)
            site.captions(b"no picture", model="gemma", key=key)
            site.captions(plain(), model=PROMPT, key=key)
            site.ask("POST", f"/{PROMPT}/{KEY}", key)
            site.ask("GET", f"/v1/models?{PROMPT}={KEY}", key)
            site.ask("PROMPT" + PROMPT.replace(" ", ""), "/v1/models", key)
            site.ask("POST", "/api/caption-images", key, content=PROMPT)
            site.ask("GET", "/api/admin/cache", key)
    told = "\n".join(lines.text)
    assert told.count("/api/caption-images") == 16  # all that went there
    for secret in (KEY, "mister", FILENAME, base64.b64encode(plain())[:20].decode()):
        assert secret not in told


def test_text_is_a_line_for_people(configured: Callable[[logs.Format], Lines]) -> None:
    site, lines = Site(), configured("text")
    site.captions(plain(), model="blip")
    (line,) = lines.text
    assert "[INFO] [] POST /api/caption-images 200 " in line
    assert line.endswith("model=blip cached=0/1 [mine]")


@pytest.mark.parametrize("path", ["/no\nsuch\nplace", "/%0aFAKE LINE", "/\x1b[2J"])
def test_an_address_cannot_write_lines_of_its_own(path: str, configured: Callable[[logs.Format], Lines]) -> None:
    for form in ("text", "json"):
        lines = configured(form)

        async def main() -> None:
            scope = {
                "type": "http", "method": "GET", "path": path, "query_string": b"", "root_path": "", "headers": [],
            }  # fmt: skip

            async def nothing(*_: Any) -> Any:
                return {"type": "http.disconnect"}

            await Site().door(scope, nothing, nothing)

        run(main())
        assert len(lines.text) == 1
        assert lines.text[0].isprintable()
        lines.stream.truncate(0)
        lines.stream.seek(0)


# --- the form --------------------------------------------------------------------------------------------------------


def fail_a_row() -> None:
    """Log as the engine does, for the request `mine`."""
    token = logs.REQUEST_ID.set("mine")
    try:
        raise ValueError("inner words")
    except ValueError:
        logging.getLogger("looksee.engine").exception("a row failed")
    finally:
        logs.REQUEST_ID.reset(token)


def test_a_line_of_any_logger_is_json_with_the_id_of_its_request(configured: Callable[[logs.Format], Lines]) -> None:
    lines = configured("json")
    logging.getLogger("someone.else").warning("it has %d parts\nand lines", 2)
    fail_a_row()
    first, second = lines.json
    assert (first["level"], first["logger"], first["message"]) == (
        "warning",
        "someone.else",
        "it has 2 parts\nand lines",
    )
    assert "request_id" not in first
    assert (second["request_id"], second["message"]) == ("mine", "a row failed")
    assert second["traceback"].endswith("ValueError: inner words")


def test_in_text_the_id_stands_before_a_traceback(configured: Callable[[logs.Format], Lines]) -> None:
    lines = configured("text")
    fail_a_row()
    assert lines.text[0].endswith("a row failed [mine]")
    assert lines.text[-1] == "  ValueError: inner words"


def test_a_row_that_fails_is_told_of_with_the_id_of_its_request(configured: Callable[[logs.Format], Lines]) -> None:
    """The engine's threads know of no request; a row does."""

    def on_step(words: list[str]) -> None:
        if failing := [word for word in words if word.startswith("bad")]:
            raise RuntimeError(f"cannot say {failing[0]}")

    lines = configured("json")

    async def main() -> None:
        engine = Engine(ToyModel(on_step=on_step), EngineLimits(queue=9, rows=9, cost=99))

        async def ask(word: str) -> None:
            logs.REQUEST_ID.set(f"id-of-{word}")
            await engine.submit(job(word), timeout=10)

        await asyncio.gather(*(asyncio.create_task(ask(word)) for word in ("bad1", "good", "bad2")))
        engine.close()

    run(main())
    failed = {line["request_id"]: line["traceback"] for line in lines.json if line["message"] == "a row failed"}
    assert set(failed) == {"id-of-bad1", "id-of-bad2"}
    assert "cannot say bad1" in failed["id-of-bad1"]
    assert all("request_id" not in line for line in lines.json if line["message"] != "a row failed")


HOSTILE = "x\r\n2026-11-29T00:00:00+0000 [INFO] forged\x1b[2J\u2028\u202e\x00\x85"


@pytest.mark.parametrize("form", ["text", "json"])
def test_what_a_message_quotes_writes_no_lines_and_steers_no_terminal(
    form: logs.Format, configured: Callable[[logs.Format], Lines]
) -> None:
    lines = configured(form)
    logging.getLogger("bentoml").error("it said %s", HOSTILE)
    written = lines.stream.getvalue()
    assert written.count("\n") == 1
    assert written.removesuffix("\n").isprintable()
    assert "forged" in written


def test_what_an_exception_quotes_begins_no_line(configured: Callable[[logs.Format], Lines]) -> None:
    lines = configured("text")
    try:
        raise ValueError(HOSTILE)
    except ValueError:
        logging.getLogger("looksee").exception("it failed")
    first, *others = lines.stream.getvalue().removesuffix("\n").split("\n")
    assert "it failed" in first
    assert others
    assert all(line.startswith("  ") and line.isprintable() for line in others)


NAMES = [
    "../../etc/passwd",
    "..%2f..%2fetc%2fpasswd",
    "\\\\host\\share",
    "a\r\nb",
    "\x1b[31mred",
    "blip\x00",
    "/etc/passwd",
]


@pytest.mark.parametrize("name", NAMES)
def test_hostile_names_are_names_of_nothing(name: str, configured: Callable[[logs.Format], Lines]) -> None:
    """As a model, a task, a file, a skill, an address and an id of a request: refused or echoed, and not logged."""
    lines = configured("text")
    doors = Doors()
    edge = EdgeMiddleware(
        doors.app, AccessControl(ApiKeys([]), ApiKeys([])), ROUTES, max_body=10**6, timeout=5, longest=5
    )
    image = base64.b64encode(plain()).decode()
    quoted = quote(name, safe="")

    async def main() -> list[httpx.Response]:
        async with httpx.AsyncClient(transport=httpx.ASGITransport(edge), base_url="http://looksee") as client:
            return [
                await client.post("/v1/caption", json={"model": name, "image_url": image}),
                await client.post("/v1/chat/completions", json={"model": name, "messages": []}),
                await client.post("/v1/batch", json={"items": [{"image": image, "task": name}]}),
                await client.post("/v1/caption", json={"image_url": name}),
                await client.post("/upload/caption", files={"file": ("a.png", plain())}, params={"model": name}),
                await client.get(f"/v1/models/{quoted}"),
                await client.get(f"/ui/{quoted}"),
                await client.get(f"/docs/{quoted}"),
                await client.post(f"/api/admin/models/{quoted}/load"),
                await client.get("/healthz", headers={b"X-Request-ID": name.encode("latin-1", "replace")}),
                await client.post("/api/caption-images", files=[("images", (name, plain()))]),
            ]

    answers = run(main())
    batch, health, echoed = answers[2], answers[9], answers[10]
    refused = [*answers[:2], *answers[3:9]]
    assert all(400 <= answer.status_code < 500 for answer in refused), [answer.status_code for answer in refused]
    assert json.loads(batch.text.splitlines()[0])["status"] == 422
    assert health.headers["x-request-id"] != name
    assert health.headers["x-request-id"].isprintable()
    assert echoed.status_code == 200
    written = lines.stream.getvalue()
    assert all(line.isprintable() for line in written.split("\n"))
    assert "passwd" not in written
    assert "root:" not in "".join(answer.text for answer in answers)
