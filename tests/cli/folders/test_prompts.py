"""Prompts with what is known of each picture."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from looksee.cli.folders import prompts
from tests.cli.in_process import FakeService, lines, looksee
from tests.support.files import encoded, plain

RED = plain("PNG")


def test_each_picture_has_its_own(fake: FakeService, tmp_path: Path) -> None:
    (tmp_path / "dogs").mkdir()
    (tmp_path / "dogs" / "rex.png").write_bytes(RED)
    (tmp_path / "dogs" / "rex.txt").write_text("a dog, brown ,a dog\n")
    (tmp_path / os.fsdecode(b"caf\xe9.png")).write_bytes(RED)
    words = ("--prompt", 'Name: {name}; in {folder}; so far: {existing}; tags: {tags}. {"a": {{name}}}')
    done = looksee("caption", tmp_path, *words, "--sidecar", ".txt", "--existing", "append")
    assert done.exit_code == 0, done.stderr
    assert [item["prompt"] for item in fake.items] == [
        f'Name: caf\\udce9; in {tmp_path.name}; so far: ; tags: . {{"a": {{name}}}}',
        'Name: rex; in dogs; so far: a dog, brown ,a dog; tags: a dog, brown. {"a": {name}}',
    ]
    (line,) = (line for line in lines(tmp_path / "captions.jsonl") if line["file"] == "dogs/rex.png")
    assert line["asked"]["prompt"] == words[1]
    assert line["prompt"] == fake.items[1]["prompt"]
    assert looksee("caption", tmp_path, *words, "--sidecar", ".txt", "--existing", "append").exit_code == 0
    assert len(fake.items) == 2, "a text that has grown since is no other question"


def test_keywords_of_the_picture_itself(fake: FakeService, tmp_path: Path) -> None:
    from PIL import Image

    from looksee.cli.folders.xmp import XmpPacket

    packet = XmpPacket()
    packet.add_keywords(["beach", "sea"])
    (tmp_path / "a.jpg").write_bytes(encoded(Image.new("RGB", (9, 9)), "JPEG", xmp=packet.content()))
    (tmp_path / "a.txt").write_text("other")
    assert looksee("caption", tmp_path, "--question", "Which of {tags}?").exit_code == 0
    assert fake.items[0]["question"] == "Which of beach, sea?"


def test_a_prompt_out_of_a_file(fake: FakeService, tmp_path: Path) -> None:
    (tmp_path / "a.png").write_bytes(RED)
    file = tmp_path / "prompt"
    file.write_bytes(b"\xef\xbb\xbfSay of {name}\nwhat it is.\n")
    assert looksee("caption", tmp_path, "--prompt-file", file).exit_code == 0
    assert fake.items[0]["prompt"] == "Say of a\nwhat it is."
    file.write_bytes(b"\xe9")
    done = looksee("caption", tmp_path, "--prompt-file", file)
    assert (done.exit_code, done.stderr) == (1, f"Error: {file} is not UTF-8.\n")


@pytest.mark.parametrize("text", ["{nmae}", "a {words} b"])
def test_a_word_that_is_no_field_is_told(text: str, fake: FakeService, tmp_path: Path) -> None:
    (tmp_path / "a.png").write_bytes(RED)
    done = looksee("caption", tmp_path, "--prompt", text)
    assert done.exit_code == 2
    assert f"There is no {text[text.index('{') : text.index('}') + 1]}; a prompt may have {{name}}" in done.stderr
    assert ("Did you mean {name}?" in done.stderr) == (text == "{nmae}")
    assert fake.items == []


def test_other_braces_are_the_prompts_own() -> None:
    for text in ('{"name": 1}', "{}", "{ name }", "{0}", "{Name}", "a { b"):
        assert prompts.fields(text) == []
        assert prompts.filled(text, {}) == text


def test_a_prompt_that_the_service_refuses_for_one_picture_stops_no_other(fake: FakeService, tmp_path: Path) -> None:
    def answer(item: object, data: bytes) -> dict[str, object]:
        if "long" in str(item):
            return {"status": 422, "error": {"code": "prompt_too_long", "message": "Too long.", "param": "prompt"}}
        return {"caption": "a dog"}

    fake.answer = answer
    for name in ("a", "long", "z"):
        (tmp_path / f"{name}.png").write_bytes(RED)
    done = looksee("caption", tmp_path, "--prompt", "{name}")
    assert done.exit_code == 1
    assert "long.png: Too long.\n" in done.stderr
    assert len(lines(tmp_path / "captions.jsonl")) == 2
