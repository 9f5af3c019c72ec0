"""Texts beside pictures, read by the rules of the programs that they are for, in each way of meeting what is there."""

from __future__ import annotations

import os
import stat
from pathlib import Path

import pytest

from tests.cli.in_process import FakeService, lines, looksee
from tests.support.files import plain

RED, BLUE = plain("PNG"), plain("JPEG", colour=(0, 0, 250))
OWN = f"a red square of {len(RED)}"


def kohya(picture: Path, ending: str) -> str | None:
    """As kohya's trainers read: the same name with the ending; UTF-8; the first line; an empty file is an error."""
    path = os.path.splitext(picture)[0] + ending  # noqa: PTH122  # as they do
    if not os.path.isfile(path):  # noqa: PTH113
        return None
    read = Path(path).read_text("utf-8").splitlines(keepends=True)
    assert read, "empty"
    return read[0].strip()


def taggui(picture: Path) -> list[str]:
    """As TagGUI reads: the name with `.txt`; the text is cut at commas."""
    path = picture.with_suffix(".txt")
    if not path.exists():
        return []
    return [tag for tag in map(str.strip, path.read_text("utf-8", errors="replace").split(",")) if tag]


@pytest.mark.parametrize("ending", [".txt", ".caption"])
def test_trainers_find_what_was_written(ending: str, fake: FakeService, tmp_path: Path) -> None:
    names = [
        b"a.png",
        b"b.jfif",
        b"c.d.PNG",
        b"below/e.jpeg",
        b"caf\xe9.png",
        b"two\nlines.webp",
        b"-o.png",
        b"no ending",
    ]
    (tmp_path / "below").mkdir()
    for name in names:
        (tmp_path / os.fsdecode(name)).write_bytes(RED)
    done = looksee("caption", tmp_path, "--sidecar", ending, "--trigger", "sks")
    assert done.exit_code == 0, done.stderr
    for name in names:
        picture = tmp_path / os.fsdecode(name)
        assert kohya(picture, ending) == f"sks, {OWN}"
        assert taggui(picture) == (["sks", OWN] if ending == ".txt" else [])
    assert len(lines(tmp_path / "captions.jsonl")) == len(names)
    assert {line["caption"] for line in lines(tmp_path / "captions.jsonl")} == {OWN}, "the record has the answer itself"
    again = looksee("caption", tmp_path, "--sidecar", ending, "--trigger", "sks")
    assert again.exit_code == 0
    assert "no picture" not in again.stderr, "what is beside pictures is not left out"
    assert len(fake.items) == len(names)


# By the way of meeting it, what becomes of a text that is there.
EXISTING: dict[bytes, dict[str, str]] = {
    b"old, text": {
        "skip": "old, text",
        "overwrite": OWN,
        "append": f"old, text, {OWN}",
        "prepend": f"{OWN}, old, text",
    },
    b"\xef\xbb\xbfold \r\n": {
        "skip": "\ufeffold \n",
        "overwrite": OWN,
        "append": f"old, {OWN}",
        "prepend": f"{OWN}, old",
    },
    b"  \n": {"skip": OWN, "overwrite": OWN, "append": OWN, "prepend": OWN},
    b"": {"skip": OWN, "overwrite": OWN, "append": OWN, "prepend": OWN},
    b"one\ntwo\n": {
        "skip": "one\ntwo\n",
        "append": f"one\ntwo, {OWN}",
        "prepend": f"{OWN}, one\ntwo",
        "overwrite": OWN,
    },
    f"not {OWN}".encode(): {
        "skip": f"not {OWN}",
        "append": f"not {OWN}, {OWN}",
        "overwrite": OWN,
        "prepend": f"{OWN}, not {OWN}",
    },
}


@pytest.mark.parametrize("how", ["skip", "overwrite", "append", "prepend"])
def test_what_is_there_already(how: str, fake: FakeService, tmp_path: Path) -> None:
    for number, content in enumerate(EXISTING):
        (tmp_path / f"{number}.png").write_bytes(RED)
        (tmp_path / f"{number}.txt").write_bytes(content)
    (tmp_path / "new.png").write_bytes(RED)

    def found() -> list[str]:
        return [(tmp_path / f"{number}.txt").read_text() for number in range(len(EXISTING))]

    for round_ in range(3):
        if round_ == 2:  # as after a kill between the text and the record: asked again, and not added again
            (tmp_path / "captions.jsonl").unlink()
        done = looksee("caption", tmp_path, "--sidecar", ".txt", "--existing", how)
        assert done.exit_code == 0, done.stderr
        assert found() == [becomes[how] for becomes in EXISTING.values()], round_
        assert (tmp_path / "new.txt").read_text() == OWN
    if how == "skip":
        assert "with a text already" in done.stderr
        assert len(fake.items) == 3, "only those without a text were asked about"


def test_a_text_that_is_no_utf_8_is_left_and_named(fake: FakeService, tmp_path: Path) -> None:
    (tmp_path / "a.png").write_bytes(RED)
    (tmp_path / "b.png").write_bytes(RED)
    (tmp_path / "a.txt").write_bytes(b"caf\xe9")
    done = looksee("caption", tmp_path, "--sidecar", ".txt", "--existing", "append")
    assert done.exit_code == 1
    assert "a.png: a.txt is not UTF-8, and was left as it is.\n" in done.stderr
    assert (tmp_path / "a.txt").read_bytes() == b"caf\xe9"
    assert (tmp_path / "b.txt").read_text() == OWN
    assert looksee("caption", tmp_path, "--sidecar", ".txt", "--existing", "overwrite").exit_code == 0
    assert (tmp_path / "a.txt").read_text() == OWN


def test_no_picture_is_written_over_and_no_text_is_shared(fake: FakeService, tmp_path: Path) -> None:
    """A JPEG that is called a.txt is a picture, and so is the PNG beside it."""
    (tmp_path / "a.png").write_bytes(RED)
    (tmp_path / "a.txt").write_bytes(BLUE)
    (tmp_path / "b.png").write_bytes(RED)
    (tmp_path / "b.jpg").write_bytes(BLUE)
    done = looksee("caption", tmp_path, "--sidecar", ".txt", "--existing", "overwrite")
    assert done.exit_code == 1
    assert (tmp_path / "a.txt").read_bytes() == BLUE
    assert "a.png: a.txt, which would be written beside it, is a picture.\n" in done.stderr
    assert "a.txt: a.txt would be written for a.png too.\n" in done.stderr
    assert "b.png: b.txt would be written for b.jpg too.\n" in done.stderr
    assert (tmp_path / "b.txt").read_text() == f"a red square of {len(BLUE)}"


def test_no_text_is_written_over_the_record_or_into_a_pipe(fake: FakeService, tmp_path: Path) -> None:
    for name in ("a", "captions", "pipe"):
        (tmp_path / f"{name}.png").write_bytes(RED)
    os.mkfifo(tmp_path / "pipe.jsonl")
    done = looksee("caption", tmp_path, "--sidecar", ".jsonl", "--existing", "overwrite")
    assert done.exit_code == 1
    assert "captions.png: captions.jsonl, which would be written beside it, is what the answers" in done.stderr
    assert "pipe.png: pipe.jsonl, which would be written beside it, is no file.\n" in done.stderr
    assert [line["file"] for line in lines(tmp_path / "captions.jsonl")] == ["a.png"]


def test_a_picture_that_was_replaced_gets_a_new_text_unless_a_person_wrote_it(
    fake: FakeService, tmp_path: Path
) -> None:
    for name in ("a", "b"):
        (tmp_path / f"{name}.png").write_bytes(RED)
    assert looksee("caption", tmp_path, "--sidecar", ".txt").exit_code == 0
    (tmp_path / "b.txt").write_text("by hand")
    for name in ("a", "b"):
        (tmp_path / f"{name}.png").write_bytes(BLUE)
    done = looksee("caption", tmp_path, "--sidecar", ".txt")
    assert done.exit_code == 0
    assert (tmp_path / "a.txt").read_text() == f"a red square of {len(BLUE)}"
    assert (tmp_path / "b.txt").read_text() == "by hand"
    assert "1 with a text already" in done.stderr


def test_answers_of_earlier_are_written_without_asking(fake: FakeService, tmp_path: Path) -> None:
    (tmp_path / "a.png").write_bytes(RED)
    looksee("caption", tmp_path)
    for words in (
        ["--sidecar", ".txt"],
        ["--sidecar", ".caption", "--xmp"],
        ["--sidecar", ".txt", "--prefix", "Seen: "],
    ):
        assert looksee("caption", tmp_path, *words).exit_code == 0
        assert len(fake.items) == 1
    assert (tmp_path / "a.txt").read_text() == f"Seen: {OWN}", "ours may be written in other words"
    assert (tmp_path / "a.caption").read_text() == OWN
    assert (tmp_path / "a.png.xmp").exists()
    (tmp_path / "a.txt").unlink()
    looksee("caption", tmp_path, "--sidecar", ".txt")
    assert (tmp_path / "a.txt").read_text() == OWN
    (tmp_path / "a.txt").write_text("by hand")
    looksee("caption", tmp_path, "--sidecar", ".txt", "--existing", "overwrite")
    assert (tmp_path / "a.txt").read_text() == "by hand", "it was written once; what became of it is somebody's"


def test_links_and_permissions_stay(fake: FakeService, tmp_path: Path) -> None:
    photos, texts = tmp_path / "photos", tmp_path / "texts"
    photos.mkdir()
    texts.mkdir()
    (photos / "a.png").write_bytes(RED)
    (texts / "a.txt").write_text("old")
    (texts / "a.txt").chmod(0o640)
    (photos / "a.txt").symlink_to(texts / "a.txt")
    assert looksee("caption", photos, "--sidecar", ".txt", "--existing", "append").exit_code == 0
    assert (photos / "a.txt").is_symlink()
    assert (texts / "a.txt").read_text() == f"old, {OWN}"
    assert stat.S_IMODE((texts / "a.txt").stat().st_mode) == 0o640
    assert sorted(path.name for path in texts.iterdir()) == ["a.txt"]


def test_an_answer_without_words_is_no_text(fake: FakeService, tmp_path: Path) -> None:
    """Trainers stop at an empty file."""
    fake.answer = lambda item, data: {"caption": " ", "finish_reason": "empty"}
    (tmp_path / "a.png").write_bytes(RED)
    assert looksee("caption", tmp_path, "--sidecar", ".txt", "--trigger", "sks").exit_code == 0
    assert not (tmp_path / "a.txt").exists()


def test_a_name_that_leaves_no_room_for_an_ending_is_one_failure(fake: FakeService, tmp_path: Path) -> None:
    long = "x" * 255
    for name in (long, "a.png"):
        (tmp_path / name).write_bytes(RED)
    for words in (["--xmp"], ["--sidecar", ".txt"]):
        done = looksee("caption", tmp_path, *words, "--existing", "append")
        assert done.exit_code == 1
        assert f"{long}: File name too long" in done.stderr
    assert (tmp_path / "a.txt").read_text() == OWN
    assert (tmp_path / "a.png.xmp").exists()


def test_several_lines_become_one(fake: FakeService, tmp_path: Path) -> None:
    fake.answer = lambda item, data: {"caption": "One.\n\nTwo\u2028three. "}
    (tmp_path / "a.png").write_bytes(RED)
    words = ("--prefix", "It is: ", "--suffix", " (seen)", "--separator", " | ", "--trigger", "sks")
    assert looksee("caption", tmp_path, "--sidecar", ".txt", *words).exit_code == 0
    assert (tmp_path / "a.txt").read_bytes() == b"sks | It is: One. Two three. (seen)"


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["--sidecar", "txt"], "'txt' is no ending of a file"),
        (["--sidecar", "./x"], "is no ending of a file"),
        (["--sidecar", ".JPG"], "'.JPG' is an ending of pictures"),
        (["--existing", "append"], "--existing goes with --sidecar or --xmp"),
        (["--trigger", "x"], "--trigger goes with --sidecar"),
        (["--sidecar", ".txt", "--trigger", os.fsdecode(b"\xe9")], "--trigger is not in the encoding of this terminal"),
        (["--filelist", "-", "--no-recursive"], "--no-recursive does not go with --filelist"),
        (["--object", "cat", "--sidecar", ".txt"], "--sidecar and --xmp are for texts"),
        (["--coco", "x.json"], "--coco is for boxes and points"),
        (["--task", "point", "--object", "cat", "--yolo", "x"], "--yolo is for boxes"),
        (["-o", "/dev/null", "--sidecar", ".txt"], "-o must be one"),
        (["--csv", "x", "--gallery", "x"], "Two outputs have the same name"),
        (["--csv", "{folder}/a.png"], "a.png is a picture"),
        (["--prompt", "a", "--prompt-file", "{folder}/a.png"], "are two prompts"),
        (["--max-words", "0"], "--max-words"),
        (["--object", "cat", "--max-words", "3"], "--max-words does not go with --task detect"),
    ],
)
def test_options_that_would_not_do_what_they_say(
    words: list[str], said: str, fake: FakeService, tmp_path: Path
) -> None:
    (tmp_path / "a.png").write_bytes(RED)
    done = looksee("caption", tmp_path, *(word.format(folder=tmp_path) for word in words))
    assert done.exit_code == 2
    assert said in done.stderr
    assert fake.items == []
    assert (tmp_path / "a.png").read_bytes() == RED
