"""Requests as people and programs send them, through the whole service: odd sizes, odd words, odd bodies."""

from __future__ import annotations

import base64
import concurrent.futures
import json
import re
import socket
import subprocess
import time
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import httpx
import pytest
from PIL import Image

from looksee.models.registry import REGISTRY
from tests.core.images.kinds import file
from tests.support.pictures import scene
from tests.support.serving import Service

PLAIN, CAPTION = scene("requests", count=3)
TEXT = base64.b64encode(PLAIN).decode()
URI = f"data:image/png;base64,{TEXT}"
CHATS = [name for name, spec in REGISTRY.items() if spec.chats]
ASKED = [name for name, spec in REGISTRY.items() if "query" in spec.tasks]


@pytest.fixture(scope="module")
def service(everything: Service) -> Service:
    return everything


def error(answer: httpx.Response) -> tuple[int, str]:
    return answer.status_code, answer.json()["error"]["code"]


def chat(service: Service, *messages: dict[str, Any], model: str = "gemma", **more: Any) -> httpx.Response:
    body = {"model": model, "messages": list(messages), **more}
    return service.client.post("/v1/chat/completions", json=body)


def user(text: str, image: Any = URI) -> dict[str, Any]:
    parts = [{"type": "text", "text": text}, {"type": "image_url", "image_url": {"url": image}}]
    return {"role": "user", "content": parts}


# --- sizes -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("size", "expected"),
    [
        ((4000, 10), 200),
        ((10, 4000), 200),
        ((20_000, 3), 200),
        ((3, 5000), 200),
        ((3, 3), 200),
        ((1, 1), (422, "image_too_small")),
        ((2, 100), (422, "image_too_small")),
        ((100, 2), (422, "image_too_small")),
        ((8001, 8000), (413, "image_too_large")),
        ((60_000, 1100), (413, "image_too_large")),
    ],
)
def test_pictures_of_any_shape(service: Service, size: tuple[int, int], expected: Any) -> None:
    mode = "1" if expected != 200 else "RGB"
    data = file(Image.new(mode, size, 1 if mode == "1" else "white"))
    for model in REGISTRY:
        answer = service.client.post("/api/caption-images", params={"model": model}, files={"images": ("a.png", data)})
        if expected == 200:
            assert answer.status_code == 200
        else:
            assert error(answer) == expected
            assert "accepted" in answer.json()["detail"] or "at least" in answer.json()["detail"]


# --- words -----------------------------------------------------------------------------------------------------------

WORDS = [
    "<image>", "<start_of_image>", "<IMG_CONTEXT>", "<|im_end|>", "<|image_pad|>", "<end_of_turn>", "</s>", "<s>",
    "<pad>", "<unk>", "<|endoftext|>", "<|md_reserved_3|>", "[INST]", "<<SYS>>", "{{ x }}", "{% raw %}", "{0}", "%s",
    "\\x00", "\x00", "\u202eabc", "\u0661\u0662", "\U0001f9ff" * 9, "\u00e9\u0301", "\ufeffWhat?", "\r\nWhat\r\n",
    "a\tb", "'; --", "<script>", "&amp;", "$(ls)", "../..", "null", "None", "true", "0", "\u4f60\u597d",
]  # fmt: skip


@pytest.mark.parametrize("model", ASKED)
def test_markers_and_odd_letters_are_text(service: Service, model: str) -> None:
    def ask(word: str) -> int:
        body = {"model": model, "image": TEXT, "question": word, "max_new_tokens": 4}
        return service.client.post("/query", json=body).status_code

    with concurrent.futures.ThreadPoolExecutor(8) as pool:
        assert list(pool.map(ask, WORDS)) == [200] * len(WORDS)


# --- bodies ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("write", "kind"),
    [
        (lambda text: text + "\n", "application/json"),
        (lambda text: json.dumps(json.loads(text), indent=2).replace("\n", "\r\n"), "application/json"),
        (lambda text: f" \n\t{text}\r\n", "application/json; charset=utf-8"),
        (lambda text: text, "application/json;charset=UTF-8; version=1"),
        (lambda text: text, "text/plain"),
        (lambda text: text, "text/json"),
        (lambda text: text, "application/vnd.api+json"),
        (lambda text: text, None),
    ],
    ids=["line end", "CRLF", "blanks", "parameters", "text", "text/json", "vendor's JSON", "no type"],
)
@pytest.mark.parametrize("path", ["/caption", "/v1/caption"])
def test_json_as_editors_and_clients_write_it(service: Service, write: Any, kind: str | None, path: str) -> None:
    member = "image_url" if path.startswith("/v1") else "image"
    content = write(json.dumps({member: URI})).encode()
    answer = service.client.post(path, content=content, headers={"Content-Type": kind} if kind else {})
    assert answer.status_code == 200
    assert answer.json()["caption"] == CAPTION


@pytest.mark.parametrize("value", ["True", "TRUE", "1", "yes", "on", "t", "y", "False", "0", "no", "off", "f", "n"])
def test_booleans_as_people_write_them(service: Service, value: str) -> None:
    files = [("images", ("a.png", PLAIN)), ("images", ("b.txt", b"text"))]
    answer = service.client.post("/api/caption-images", params={"strict": value}, files=files)
    assert answer.status_code == (415 if value.lower() in ("true", "1", "yes", "on", "t", "y") else 200)


def test_a_client_that_waits_to_be_told_to_go_on(service: Service) -> None:
    """`Expect: 100-continue`, as curl sends it before a large body."""
    body = json.dumps({"image": TEXT}).encode()
    where = urlsplit(service.url)
    assert where.hostname
    head = f"POST /caption HTTP/1.1\r\nHost: {where.netloc}\r\nContent-Type: application/json\r\nConnection: close\r\n"
    with socket.create_connection((where.hostname, where.port or 80), 20) as wire:
        wire.settimeout(20)
        wire.sendall(f"{head}Content-Length: {len(body)}\r\nExpect: 100-continue\r\n\r\n".encode())
        assert wire.recv(4096).startswith(b"HTTP/1.1 100")
        wire.sendall(body)
        answer = b"".join(iter(lambda: wire.recv(65536), b""))
    assert answer.startswith(b"HTTP/1.1 200")
    assert CAPTION.encode() in answer
    with socket.create_connection((where.hostname, where.port or 80), 20) as wire:
        wire.settimeout(20)
        wire.sendall(f"{head}Content-Length: {2**30}\r\nExpect: 100-continue\r\n\r\n".encode())
        assert wire.recv(4096).startswith(b"HTTP/1.1 413"), "refused before it is sent"


@pytest.mark.parametrize("path", ["/caption", "/v1/caption", "/upload/caption", "/api/caption-images"])
@pytest.mark.parametrize(
    ("kind", "begun"),
    [
        ("application/json", b'{"image": '),
        ("application/x-www-form-urlencoded", b"image="),
        ("multipart/form-data; boundary=x", b"--x\r\n"),
    ],
)
def test_who_breaks_off_in_the_body_is_no_failure_of_the_service(
    service: Service, path: str, kind: str, begun: bytes
) -> None:
    where, mark = urlsplit(service.url), f"broken-off{path.replace('/', '-')}-{len(begun)}"
    assert where.hostname
    head = f"POST {path} HTTP/1.1\r\nHost: a\r\nContent-Type: {kind}\r\nContent-Length: 1000\r\nX-Request-ID: {mark}"
    with socket.create_connection((where.hostname, where.port or 80), 20) as wire:
        wire.sendall(f"{head}\r\n\r\n".encode() + begun)
    end = time.monotonic() + 20
    while not (lines := [line for line in service.log.read_text().splitlines() if mark in line]):
        assert time.monotonic() < end
        time.sleep(0.05)
    assert re.search(r" (499|415) ", lines[-1]), lines
    assert len(lines) == 1, "no traceback"


def test_an_upload_that_is_far_too_large_can_read_why(service: Service, tmp_path: Path) -> None:
    """Not a connection that is reset while it sends."""
    large = tmp_path / "large.bin"
    with large.open("wb") as out:
        out.truncate(80 * 2**20)
    for words in (["-F", f"images=@{large}"], ["-H", "Transfer-Encoding: chunked", "-F", f"images=@{large}"]):
        done = subprocess.run(
            ["curl", "-sS", "-w", "%{http_code}", *words, f"{service.url}/api/caption-images"],
            capture_output=True,
            text=True,
            check=False,
        )
        assert (done.returncode, done.stdout[-3:]) == (0, "413"), done.stderr
        assert "request_too_large" in done.stdout

    def pieces() -> Any:
        for _ in range(80):
            yield bytes(2**20)

    for content in (bytes(80 * 2**20), pieces()):
        answer = service.client.post("/caption", content=content, headers={"Content-Type": "application/json"})
        assert error(answer) == (413, "request_too_large")


def test_the_same_picture_many_times_at_once(service: Service) -> None:
    def ask(number: int) -> list[str]:
        data = PLAIN + bytes(number // 8)  # every eighth request has other bytes: some are computed, some are shared
        files = [("images", (f"{place}.png", data)) for place in range(2)]
        model = ("blip", "gemma", "moondream")[number % 3]
        answer = service.client.post("/api/caption-images", params={"model": model}, files=files)
        return [result["caption"] for result in answer.json()["results"]]

    with concurrent.futures.ThreadPoolExecutor(6) as pool:
        assert list(pool.map(ask, range(24))) == [[CAPTION] * 2] * 24


# --- chats -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("model", CHATS)
@pytest.mark.parametrize(
    ("roles", "status"),
    [
        ("assistant user", 200),
        ("user user", 200),
        ("system system user", 200),
        ("system user assistant user", 200),
        ("system assistant user", 200),
        ("developer user", 200),
        ("user assistant", 400),
        ("system", 400),
    ],
)
def test_turns_in_any_order_are_answered_or_refused_in_words(
    service: Service, model: str, roles: str, status: int
) -> None:
    words = roles.split()
    last = max((number for number, role in enumerate(words) if role == "user"), default=-1)
    messages = [
        user("How many shapes are there?") if number == last else {"role": role, "content": "one moment"}
        for number, role in enumerate(words)
    ]
    answer = chat(service, *messages, model=model)
    assert answer.status_code == status
    if status == 200:
        assert answer.json()["choices"][0]["message"]["content"]
    else:
        assert "message" in answer.json()["detail"]
