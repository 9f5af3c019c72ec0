"""`looksee caption` and `looksee ask`, run as programs against a service that wants a key and takes small batches."""

from __future__ import annotations

import base64
import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest

from tests.support import pictures
from tests.support.serving import API_KEY, CLIENT_KEY, EVERY, ROOT, Service, free_port


class ClientProgram:
    """`looksee`, told of a service by the environment."""

    def __init__(self, url: str, key: str = CLIENT_KEY) -> None:
        self.env = {**os.environ, "PYTHONPATH": str(ROOT), "LOOKSEE_URL": url, "LOOKSEE_KEY": key}

    def start(self, *words: object) -> subprocess.Popen[str]:
        command = [sys.executable, "-m", "looksee", *map(str, words)]
        return subprocess.Popen(
            command, env=self.env, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, start_new_session=True
        )

    def __call__(self, *words: object) -> subprocess.CompletedProcess[str]:
        process = self.start(*words)
        out, err = process.communicate(timeout=120)
        assert "Traceback" not in err, err
        return subprocess.CompletedProcess(process.args, process.returncode, out, err)


@pytest.fixture
def looksee(keyed: Service) -> ClientProgram:
    return ClientProgram(keyed.url)


def folder(directory: Path, count: int) -> dict[str, str]:
    """Pictures in a folder and one below it, with their captions."""
    (directory / "below").mkdir()
    captions = {}
    for number in range(count):
        name = f"below/{number}.PNG" if number % 2 else f"{number}.png"
        data, captions[name] = pictures.scene(f"folder:{number}")
        (directory / name).write_bytes(data)
    return captions


def lines(file: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in file.read_text().splitlines() if line]


def test_a_folder_is_captioned_and_a_bad_file_named(looksee: ClientProgram, tmp_path: Path) -> None:
    captions = folder(tmp_path, 25)
    (tmp_path / "bad.jpg").write_bytes(pictures.TEXT)
    (tmp_path / "torn.jpg").write_bytes(pictures.truncated())
    (tmp_path / ".hidden.png").write_bytes(pictures.scene(0)[0])
    (tmp_path / "notes.txt").write_text("no picture")
    done = looksee("caption", tmp_path)
    assert done.returncode == 1
    assert f"27 pictures in {tmp_path}\n" in done.stderr
    assert "1 file is no picture: notes.txt\n" in done.stderr
    assert "bad.jpg: This is not a picture (" in done.stderr
    assert "torn.jpg: The picture is damaged" in done.stderr
    assert done.stderr.endswith(f"25 answers in {tmp_path}/captions.jsonl, 2 failed\n")
    found = {line["file"]: line for line in lines(tmp_path / "captions.jsonl")}
    assert set(found) == set(captions)
    assert sum(found[name]["caption"] == caption for name, caption in captions.items()) >= 24
    assert found["0.png"]["asked"] == {"task": "caption"}
    assert (found["0.png"]["model"], found["0.png"]["weights"]) == ("moondream", "sample")
    (tmp_path / "bad.jpg").unlink()
    (tmp_path / "torn.jpg").unlink()
    again = looksee("caption", tmp_path)
    assert (again.returncode, len(lines(tmp_path / "captions.jsonl"))) == (0, 25)
    assert "25 of them answered before" in again.stderr


def test_other_questions_are_other_answers(looksee: ClientProgram, tmp_path: Path) -> None:
    folder(tmp_path, 3)
    output = tmp_path / "answers.jsonl"
    for words in (
        ["--question", "How many shapes are there?"],
        ["--question", "How many shapes are there?", "--model", "gemma"],
        ["--object", "shape"],
        ["--task", "point", "--object", "shape"],
        ["--length", "short", "--scores"],
    ):
        for _ in range(2):
            done = looksee("caption", tmp_path, "-o", output, *words)
            assert done.returncode == 0, done.stderr
    members = [next(name for name in line if name not in ("file", "asked")) for line in lines(output)]
    assert members == ["answer"] * 6 + ["objects"] * 3 + ["points"] * 3 + ["caption"] * 3
    *others, first, second, third = lines(output)
    assert all(line["mean_logprob"] <= 0 for line in (first, second, third))
    assert all(0 < place["confidence"] <= 1 for line in others for place in line.get("objects", ()))
    done = looksee("caption", tmp_path, "-o", output, "--object", "shape", "--threshold", "1")
    assert done.returncode == 0, done.stderr
    assert [line["objects"] for line in lines(output)[-3:]] == [[]] * 3


def test_any_name_and_a_picture_that_was_replaced(looksee: ClientProgram, tmp_path: Path) -> None:
    names = [b"a.jfif", b"b.jpe", b"no ending", b"caf\xe9.png", b"\x82\xa0/two\nlines \"'.txt", b"x" * 255]
    (tmp_path / os.fsdecode(b"\x82\xa0")).mkdir()
    captions = {}
    for number, own in enumerate(names):
        data, captions[own] = pictures.scene(f"names:{number}", kind="JPEG")
        (tmp_path / os.fsdecode(own)).write_bytes(data)
    output = tmp_path / "captions.jsonl"
    for _ in range(2):
        done = looksee("caption", tmp_path)
        assert done.returncode == 0, done.stderr
        found = {
            base64.b64decode(line["file_bytes"]) if "file_bytes" in line else line["file"].encode(): line["caption"]
            for line in lines(output)
        }
        assert (found, len(lines(output))) == (captions, len(names))
    data, caption = pictures.scene("names:replaced", count=2)
    (tmp_path / os.fsdecode(names[3])).write_bytes(data)
    done = looksee("caption", tmp_path, "--url", looksee.env["LOOKSEE_URL"].removeprefix("http://"))
    assert done.returncode == 0, done.stderr
    assert f"{len(names)} pictures in {tmp_path}, {len(names) - 1} of them answered before\n" in done.stderr
    assert [line["caption"] for line in lines(output)[len(names) :]] == [caption]


@pytest.mark.parametrize(("how", "code"), [(signal.SIGINT, 130), (signal.SIGKILL, -9)])
def test_who_is_interrupted_goes_on(how: signal.Signals, code: int, looksee: ClientProgram, tmp_path: Path) -> None:
    captions = folder(tmp_path, 120)
    output = tmp_path / "captions.jsonl"
    process = looksee.start("caption", tmp_path, "--prompt", f"a {how.name}", "--concurrency", 1)
    end = time.monotonic() + 60
    while not (output.exists() and output.stat().st_size) and time.monotonic() < end:
        time.sleep(0.005)
    process.send_signal(how)
    _, err = process.communicate(timeout=30)
    assert process.returncode == code, err
    assert "Traceback" not in err
    if how == signal.SIGINT:
        assert f"interrupted; the same command goes on from here: {output}" in err
    with output.open("a") as file:  # as a kill in the middle of a line leaves it
        file.write('{"file": "0.p')
    here = output.read_text().count("\n")
    assert 0 < here < len(captions)
    again = looksee("caption", tmp_path, "--prompt", f"a {how.name}")
    assert f"{here} of them answered before" in again.stderr
    written = output.read_text().splitlines()
    names = [json.loads(line)["file"] for line in written if not line.startswith('{"file": "0.p') or line.endswith("}")]
    assert sorted(names) == sorted(captions), "each once"


def test_asking(looksee: ClientProgram, tmp_path: Path) -> None:
    data, _ = pictures.scene("ask", count=3)
    file = tmp_path / "a.png"
    file.write_bytes(data)
    for words in ([], ["--model", "gemma"]):
        done = looksee("ask", file, "How many shapes are there?", *words)
        assert (done.returncode, done.stdout) == (0, "three\n"), done.stderr
    whole = json.loads(looksee("ask", file, "How many shapes are there?", "--json", "--scores").stdout)
    assert whole["answer"] == "three"
    assert -0.7 < whole["mean_logprob"] <= 0


def test_boxes_of_a_folder_and_a_page_of_them(looksee: ClientProgram, tmp_path: Path) -> None:
    photos = tmp_path / "photos"
    photos.mkdir()
    folder(photos, 4)
    words = ("--coco", tmp_path / "c.json", "--yolo", tmp_path / "y", "--gallery", tmp_path / "g.html", "--json")
    done = looksee("detect", photos, "--object", "shape", *words)
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout)["answered"] == 4
    coco = json.loads((tmp_path / "c.json").read_text())
    assert len(coco["images"]) == 4
    assert len(coco["annotations"]) >= 4
    assert all(0 <= one["score"] <= 1 for one in coco["annotations"])
    labels = [file.read_text() for file in (tmp_path / "y" / "labels").rglob("*.txt")]
    assert sum(label.count("\n") for label in labels) == len(coco["annotations"])
    assert (tmp_path / "g.html").read_text().count("<rect ") == len(coco["annotations"])


def test_one_picture_several_and_the_service_itself(looksee: ClientProgram, tmp_path: Path) -> None:
    data, caption = pictures.scene("one", count=1)
    file = tmp_path / "a.png"
    file.write_bytes(data)
    assert looksee("caption", file).stdout == f"{caption}\n"
    thing = caption.split()[-1]
    place = looksee("point", file, "--object", thing).stdout.split("\t")
    assert (place[0], len(place[1].split())) == (thing, 2)
    together = looksee("together", file, file, "--model", "gemma")
    assert (together.returncode, together.stderr) == (0, "")
    assert together.stdout.strip()
    status = json.loads(looksee("status", "--json", "--interval", "0.2", "--admin-key", API_KEY).stdout)
    assert set(status["models"]) == set(EVERY)
    assert status["models"]["moondream"]["memory_bytes"] > 0


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["caption", "{folder}", "--model", "gpt"], "There is no model 'gpt'."),
        (["caption", "{folder}", "--model", "blip", "--length", "long"], "one length of caption"),
        (["caption", "{folder}", "--key", "wrong"], "not one of this service's"),
        (["caption", "{folder}", "--url", "http://127.0.0.1:{port}"], "There is no service at"),
        (["caption", "{folder}", "--url", "localhost:{port}"], "There is no service at http://localhost:"),
        (["caption", "{folder}", "--url", "nowhere.invalid"], "There is no service at http://nowhere.invalid."),
        (["caption", "{folder}", "--url", "nowhere at all"], "is not the address of a service"),
        (["caption", "{folder}", "--url", "ftp://127.0.0.1:{port}"], "is not the address of a service"),
        (["ask", "A" * 300, "who?"], "is neither the path of a file nor a picture in base64."),
        (["caption", "{folder}", "--task", "query"], "--task query needs --question"),
        (["caption", "{folder}", "--task", "caption", "--object", "x"], "--object does not go with --task caption"),
        (["caption", "{folder}", "--threshold", "0"], "--threshold does not go with --task caption"),
        (["caption", "{folder}", "--object", "x", "--scores"], "--scores does not go with --task detect"),
        (["caption", "{folder}", "-o", "/nowhere/at/all"], "No such file or directory: /nowhere/at/all"),
        (["caption", "{folder}/below/empty"], "There are no pictures in"),
        (["ask", "{folder}/none.png", "who?"], "No such file or directory"),
        (["ask", "{folder}/0.png", " "], "'question' is empty; it must be a text"),
        (["ask", "{folder}/0.png", "who?", "--model", "blip"], "has no task 'query'"),
        (["ask", "{folder}/0.png", "who?", "--scores"], "--scores goes with --json"),
    ],
)
def test_what_cannot_be_is_said_in_a_sentence(
    words: list[str], said: str, looksee: ClientProgram, tmp_path: Path
) -> None:
    folder(tmp_path, 3)
    (tmp_path / "below" / "empty").mkdir()
    port = free_port()
    done = looksee(*(word.format(folder=tmp_path, port=port) for word in words))
    assert done.returncode in (1, 2)
    assert said in done.stderr
    assert done.stderr.count("Error: ") == 1
    assert done.stdout == ""
