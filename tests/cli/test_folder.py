"""`looksee caption` over folders as they are, before a service that answers in this process."""

from __future__ import annotations

import base64
import json
import os
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result

from looksee.cli import folder
from looksee.cli.main import main
from looksee.cli.service_client import ServiceError
from tests.support.files import plain

RED, BLUE = plain("PNG"), plain("PNG", colour=(0, 0, 250))
JPEG = plain("JPEG")


class InProcessService:
    """Takes what a service takes, and answers last items first: with the media type and the size of the picture."""

    def __init__(self) -> None:
        self.asked: list[str] = []
        self.most_items = 1000
        self.finish = "stop"

    async def batch(self, body: Mapping[str, Any]) -> AsyncIterator[dict[str, Any]]:
        sent = json.loads(json.dumps(body, ensure_ascii=False).encode())  # no half of a surrogate pair is in it
        if len(sent["items"]) > self.most_items:
            raise ServiceError("too many", "too_many_items")
        for index, item in reversed(list(enumerate(sent["items"]))):
            head, _, data = item["image"].partition(",")
            self.asked.append(head)
            line = {"index": index, "id": None}
            if b"bad" in base64.b64decode(data):
                yield {
                    **line,
                    "status": 400,
                    "error": {"code": "corrupt_image", "message": "damaged", "param": "image"},
                }
            else:
                told = {"caption": f"{head} {len(data)}", "finish_reason": self.finish, "model": "moondream"}
                yield {**line, "status": 200, **told}


@pytest.fixture
def service(monkeypatch: pytest.MonkeyPatch) -> InProcessService:
    running = InProcessService()

    @asynccontextmanager
    async def connected(url: str, key: str) -> AsyncIterator[InProcessService]:
        yield running

    monkeypatch.setattr(folder, "connected", connected)
    return running


def caption(directory: Path, *words: str) -> Result:
    done = CliRunner().invoke(main, ["caption", str(directory), *words])
    assert done.exception is None or isinstance(done.exception, SystemExit), done.exception
    assert done.stderr.encode()
    return done


def lines(directory: Path) -> list[dict[str, Any]]:
    file = directory / "captions.jsonl"
    return [json.loads(line) for line in file.read_bytes().decode().splitlines()] if file.exists() else []


def test_one_name_that_is_no_utf_8_stops_nothing_and_is_asked_once(service: InProcessService, tmp_path: Path) -> None:
    names = [b"a.png", b"caf\xe9.png", b"two\nlines.png", b"\x82\xa0/\xff.jpg", b"x" * 251 + b".png"]
    (tmp_path / os.fsdecode(b"\x82\xa0")).mkdir()
    for name in names:
        (tmp_path / os.fsdecode(name)).write_bytes(RED)
    for round_ in range(2):
        done = caption(tmp_path)
        assert done.exit_code == 0, done.stderr
        assert len(lines(tmp_path)) == len(service.asked) == len(names), round_
    assert done.stderr.startswith(f"5 pictures in {tmp_path}, 5 of them answered before\n0 answers in ")
    own = [base64.b64decode(line["file_bytes"]) for line in lines(tmp_path) if "file_bytes" in line]
    assert sorted(own) == [b"caf\xe9.png", b"\x82\xa0/\xff.jpg"]


def test_answers_are_not_written_behind_a_picture(service: InProcessService, tmp_path: Path) -> None:
    (tmp_path / "a.png").write_bytes(RED)
    (tmp_path / "b.png").write_bytes(BLUE)
    done = caption(tmp_path, "-o", str(tmp_path / "b.png"))
    assert done.exit_code == 2
    assert "is a picture" in done.stderr
    assert (tmp_path / "b.png").read_bytes() == BLUE
    assert service.asked == []


def test_a_bad_picture_of_such_a_name_is_named(service: InProcessService, tmp_path: Path) -> None:
    for name in (b"\xe9.png", b"\xe8.png", b"c.png"):
        content = b"text" if name == b"\xe9.png" else RED + b"bad" if name == b"\xe8.png" else RED
        (tmp_path / os.fsdecode(name)).write_bytes(content)
    done = caption(tmp_path)
    assert done.exit_code == 1
    assert "\\xe9.png: This is not a picture (JPEG, PNG, " in done.stderr
    assert "\\xe8.png: damaged\n" in done.stderr
    assert done.stderr.endswith("1 answer in " + f"{tmp_path}/captions.jsonl, 2 failed\n")


def test_pictures_by_any_name_are_answered_and_what_is_left_out_is_said(
    service: InProcessService, tmp_path: Path
) -> None:
    for name in ("a.jpg", "b.jfif", "c.jpe", "d", "e.dat", "f.PNG"):
        (tmp_path / name).write_bytes(JPEG)
    for number in range(7):
        (tmp_path / f"{number}.txt").write_text("text")
    (tmp_path / "around").symlink_to(tmp_path)
    os.mkfifo(tmp_path / "pipe")
    done = caption(tmp_path)
    assert done.exit_code == 0, done.stderr
    assert done.stderr.splitlines() == [
        "8 files are no pictures: 0.txt, 1.txt, 2.txt, 3.txt, 4.txt and 3 more",
        "1 link to a folder is not followed: around",
        f"6 pictures in {tmp_path}",
        f"6 answers in {tmp_path}/captions.jsonl",
    ]
    assert service.asked == ["data:image/jpeg;base64"] * 6


def test_a_picture_that_was_replaced_is_asked_again(service: InProcessService, tmp_path: Path) -> None:
    picture, other = tmp_path / "a.png", tmp_path / "b.png"
    for data in (RED, BLUE, BLUE, JPEG):
        picture.write_bytes(data)
        other.write_bytes(RED)  # again, with another time
        assert caption(tmp_path).exit_code == 0
    assert [line["file"] for line in lines(tmp_path)].count("a.png") == 3
    assert [line["file"] for line in lines(tmp_path)].count("b.png") == 1


def test_what_cannot_be_read_is_named_at_the_end(service: InProcessService, tmp_path: Path) -> None:
    (tmp_path / "gone.png").symlink_to("nowhere")
    done = caption(tmp_path)
    assert done.exit_code == 1
    assert done.stderr == (f"gone.png: No such file or directory\nError: There are no pictures in {tmp_path}.\n")
    (tmp_path / "a.png").write_bytes(RED)
    done = caption(tmp_path)
    assert done.exit_code == 1
    assert done.stderr.splitlines()[-2:] == [
        "gone.png: No such file or directory",
        f"1 answer in {tmp_path}/captions.jsonl, 1 failed",
    ]


def test_a_picture_that_goes_while_others_are_asked_is_named(
    service: InProcessService, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("a.png", "b.png"):
        (tmp_path / name).write_bytes(RED)
    read = folder._read

    def late(file: Path) -> Any:
        (tmp_path / "b.png").unlink(missing_ok=True)
        return read(file)

    monkeypatch.setattr(folder, "_read", late)
    done = caption(tmp_path)
    assert done.exit_code == 1
    assert "b.png: No such file or directory\n" in done.stderr
    assert [line["file"] for line in lines(tmp_path)] == ["a.png"]


def test_a_file_that_no_service_would_take_is_not_read(service: InProcessService, tmp_path: Path) -> None:
    (tmp_path / "a.png").write_bytes(RED)
    with (tmp_path / "large.png").open("wb") as file:
        file.write(RED)
        file.truncate(2**41)  # a hole
    done = caption(tmp_path)
    assert done.exit_code == 1
    assert "large.png: The file has 2199023255552 bytes; at most" in done.stderr
    assert len(lines(tmp_path)) == 1


def test_smaller_requests_find_the_right_names(service: InProcessService, tmp_path: Path) -> None:
    service.most_items = 3
    sizes = {}
    for number in range(10):
        data = plain("PNG", size=(20 + 40 * number, 10 + number))
        (tmp_path / f"{number}.png").write_bytes(data)
        sizes[f"{number}.png"] = len(base64.b64encode(data))
    (tmp_path / "4.png").write_bytes(b"text")
    done = caption(tmp_path)
    assert done.exit_code == 1
    assert {line["file"]: int(line["caption"].split()[1]) for line in lines(tmp_path)} == {
        name: size for name, size in sizes.items() if name != "4.png"
    }


def test_a_record_that_cannot_be_written_is_told(service: InProcessService, tmp_path: Path) -> None:
    (tmp_path / "a.png").write_bytes(RED)
    done = caption(tmp_path, "-o", "/dev/full")
    assert done.exit_code == 1
    assert done.stderr.endswith("Error: No space left on device: /dev/full\n")


@pytest.mark.parametrize("option", ["--prompt", "--question", "--object", "--model"])
def test_words_that_are_no_unicode_are_told(option: str, service: InProcessService, tmp_path: Path) -> None:
    (tmp_path / "a.png").write_bytes(RED)
    done = caption(tmp_path, option, os.fsdecode(b"caf\xe9"))
    assert done.exit_code == 2
    assert f"{option} is not in the encoding of this terminal" in done.stderr
    assert service.asked == []


@pytest.mark.parametrize("blank", ["", " "])
@pytest.mark.parametrize("option", ["--question", "--object"])
def test_an_empty_question_is_no_caption(option: str, blank: str, service: InProcessService, tmp_path: Path) -> None:
    """As of a variable that the shell does not know."""
    (tmp_path / "a.png").write_bytes(RED)
    done = caption(tmp_path, option, blank)
    assert done.exit_code == 2
    assert f"{option} is empty" in done.stderr
    assert service.asked == []


@pytest.mark.parametrize(("finish", "told"), [("empty", "wrote nothing"), ("loop", "repeated itself"), ("stop", None)])
def test_an_answer_that_went_wrong_is_told_and_marked(
    finish: str, told: str | None, service: InProcessService, tmp_path: Path
) -> None:
    service.finish = finish
    (tmp_path / "a.png").write_bytes(RED)
    done = caption(tmp_path)
    assert done.exit_code == 0
    assert [line["finish_reason"] for line in lines(tmp_path)] == [finish]
    assert (f"a.png: the model {told}" in done.stderr) == (told is not None)
    assert ("a.png" in done.stderr) == (told is not None)


def test_several_things_are_asked_in_one_request_and_a_lost_one_is_asked_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "a.png").write_bytes(RED)
    (tmp_path / "b.png").write_bytes(BLUE)
    bodies: list[Mapping[str, Any]] = []

    class Finding:
        async def batch(self, body: Mapping[str, Any]) -> AsyncIterator[dict[str, Any]]:
            bodies.append(body)
            for index, _ in enumerate(body["items"]):
                results: list[dict[str, Any]] = [{"object": name, "objects": []} for name in body["objects"]]
                if len(bodies) == 1 and index == 1:
                    results[1] = {"object": "cat", "error": {"code": "runner_failed", "message": "It failed."}}
                yield {"index": index, "id": None, "status": 200, "results": results}

    @asynccontextmanager
    async def connected(url: str, key: str) -> AsyncIterator[Finding]:
        yield Finding()

    monkeypatch.setattr(folder, "connected", connected)
    words = ("--object", "red circle", "--object", "cat")
    first = caption(tmp_path, *words)
    assert first.exit_code == 1
    assert "b.png: 'cat': It failed." in first.stderr
    assert caption(tmp_path, *words).exit_code == 0
    assert [(body["task"], body["objects"], len(body["items"])) for body in bodies] == [
        ("detect", ["red circle", "cat"], 2),
        ("detect", ["red circle", "cat"], 1),
    ]
    lines = [json.loads(line) for line in (tmp_path / "captions.jsonl").read_text().splitlines()]
    assert [(line["file"], len(line["results"])) for line in lines] == [("a.png", 2), ("b.png", 2)]


def test_no_more_things_are_asked_than_the_service_takes(tmp_path: Path) -> None:
    (tmp_path / "a.png").write_bytes(RED)
    done = caption(tmp_path, *(word for number in range(33) for word in ("--object", str(number))))
    assert done.exit_code == 2
    assert "at most 32" in done.stderr
    assert caption(tmp_path, "--object", "cat", "--object", " ").exit_code == 2
