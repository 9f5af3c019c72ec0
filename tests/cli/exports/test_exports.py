"""Files for other programs, read by their rules."""

from __future__ import annotations

import base64
import csv
import io
import json
import os
import re
from pathlib import Path
from typing import Any

import pytest
import yaml
from PIL import Image

from tests.cli.in_process import FakeService, lines, looksee
from tests.support.files import encoded, plain

RED = plain("PNG", size=(20, 10))
ODD = os.fsdecode(b"caf\xe9.png")


def sideways() -> bytes:
    """A JPEG that is stored 40 x 20 and seen 20 x 40."""
    exif = Image.Exif()
    exif[0x0112] = 6
    return encoded(Image.new("RGB", (40, 20), "white"), "JPEG", exif=exif)


@pytest.fixture
def photos(tmp_path: Path) -> Path:
    folder = tmp_path / "photos"
    (folder / "below").mkdir(parents=True)
    (folder / "a.png").write_bytes(RED)
    (folder / "below" / "b.jpg").write_bytes(sideways())
    (folder / ODD).write_bytes(RED)
    return folder


def rows(file: Path) -> list[dict[str, str]]:
    return list(csv.DictReader(io.StringIO(file.read_bytes().decode(), newline="")))


def test_boxes_in_every_form(fake: FakeService, photos: Path, tmp_path: Path) -> None:
    out = photos / "out"  # in the folder: not looked at again
    words = [
        "--coco",
        out / "coco.json",
        "--yolo",
        out / "yolo",
        "--csv",
        out / "boxes.csv",
        "--annotated",
        out / "png",
    ]
    for _ in range(2):
        done = looksee("detect", photos, "--object", "red circle", "--object", 'a "cat"', *words)
        assert done.exit_code == 0, done.stderr
        assert len(fake.items) == 3
    assert [line["image"] for line in lines(photos / "detect.jsonl")] == [
        {"width": 20, "height": 10}, {"width": 20, "height": 40}, {"width": 20, "height": 10},
    ]  # fmt: skip
    coco: dict[str, Any] = json.loads((out / "coco.json").read_bytes())
    assert [(one["file_name"], one["width"], one["height"]) for one in coco["images"]] == [
        ("a.png", 20, 10), ("below/b.jpg", 20, 40), ("caf\\xe9.png", 20, 10),
    ]  # fmt: skip
    assert base64.b64decode(coco["images"][2]["file_bytes"]) == b"caf\xe9.png"
    assert [(one["id"], one["name"]) for one in coco["categories"]] == [(1, "red circle"), (2, 'a "cat"')]
    assert [one["id"] for one in coco["annotations"]] == [1, 2, 3, 4, 5, 6]
    assert coco["annotations"][3] == {
        "id": 4, "image_id": 2, "category_id": 2, "score": 0.9,
        "bbox": [2.0, 8.0, 8.0, 16.0], "area": 128.0, "iscrowd": 0,
    }  # fmt: skip
    named = yaml.safe_load((out / "yolo" / "data.yaml").read_bytes())
    assert named == {"train": "images", "val": "images", "names": {0: "red circle", 1: 'a "cat"'}}
    label = (out / "yolo" / "labels" / "below" / "b.txt").read_text()
    assert label == "0 0.300000 0.400000 0.400000 0.400000\n1 0.300000 0.400000 0.400000 0.400000\n"
    assert (out / "yolo" / "labels" / os.fsdecode(b"caf\xe9.txt")).read_text() == label
    table = rows(out / "boxes.csv")
    assert len(table) == 6
    assert table[2] == {
        "file": "below/b.jpg", "width": "20", "height": "40", "label": "red circle", "x_min": "2.0", "y_min": "8.0",
        "x_max": "10.0", "y_max": "24.0", "confidence": "0.9", "file_bytes": "",
    }  # fmt: skip
    with Image.open(out / "png" / "below" / "b.jpg.png") as drawn:
        assert drawn.size == (20, 40)
        assert len(drawn.convert("RGB").getcolors() or ()) > 1


def test_points(fake: FakeService, photos: Path, tmp_path: Path) -> None:
    words = ("--coco", tmp_path / "p.json", "--csv", tmp_path / "p.csv", "--annotated", tmp_path / "png")
    done = looksee("point", photos, "--object", "eye", *words, "--glob", "*.jpg", "--threshold", "0.3")
    assert done.exit_code == 0, done.stderr
    assert fake.items == [{"task": "point", "threshold": 0.3, "object": "eye"}]
    (annotation,) = json.loads((tmp_path / "p.json").read_bytes())["annotations"]
    assert annotation["keypoints"] == [5.0, 20.0, 2]
    assert annotation["num_keypoints"] == 1
    (category,) = json.loads((tmp_path / "p.json").read_bytes())["categories"]
    assert category["keypoints"] == ["point"]
    (row,) = rows(tmp_path / "p.csv")
    assert (row["label"], row["x"], row["y"], row["confidence"]) == ("eye", "5.0", "20.0", "0.5")
    assert (tmp_path / "png" / "below" / "b.jpg.png").exists()


def test_labels_are_those_that_were_asked_for(fake: FakeService, photos: Path, tmp_path: Path) -> None:
    """However the service writes them."""
    box = {"x_min": 0, "y_min": 0, "x_max": 1, "y_max": 1}
    fake.answer = lambda item, data: {
        "results": [{"object": name.strip(), "objects": [box]} for name in item["objects"]]
    }
    words = ("--coco", tmp_path / "c.json", "--yolo", tmp_path / "y", "--gallery", tmp_path / "g.html")
    assert looksee("detect", photos, "--object", " cat", "--object", "dog", *words).exit_code == 0
    assert [one["name"] for one in json.loads((tmp_path / "c.json").read_bytes())["categories"]] == [" cat", "dog"]
    assert {
        row["score"] for row in json.loads((tmp_path / "c.json").read_bytes())["annotations"] if "score" in row
    } == set()


def test_nothing_found_is_an_answer(fake: FakeService, photos: Path, tmp_path: Path) -> None:
    fake.answer = lambda item, data: {"objects": []}
    words = ("--yolo", tmp_path / "yolo", "--coco", tmp_path / "c.json", "--csv", tmp_path / "c.csv")
    assert looksee("detect", photos, "--object", "cat", *words).exit_code == 0
    assert (tmp_path / "yolo" / "labels" / "a.txt").read_bytes() == b""
    coco = json.loads((tmp_path / "c.json").read_bytes())
    assert (len(coco["images"]), coco["annotations"]) == (3, [])
    assert rows(tmp_path / "c.csv") == []


def test_yolo_cannot_tell_two_pictures_of_one_name_apart(fake: FakeService, photos: Path, tmp_path: Path) -> None:
    (photos / "a.jpg").write_bytes(RED)
    done = looksee("detect", photos, "--object", "cat", "--yolo", tmp_path / "yolo")
    assert done.exit_code == 1
    assert "a.png: YOLO has one file for it and a.jpg: it was left out.\n" in done.stderr


def test_captions_as_a_table_and_what_came_of_it_as_json(fake: FakeService, photos: Path, tmp_path: Path) -> None:
    (photos / "broken.png").write_bytes(b"text")
    fake.answer = lambda item, data: {"caption": f'a, "b"\nof {len(data)}', "finish_reason": "stop", "model": "blip"}
    done = looksee("caption", photos, "--csv", tmp_path / "a.csv", "--trigger", "sks", "--json")
    assert done.exit_code == 1
    summary = json.loads(done.stdout)
    assert (summary["pictures"], summary["answered"], summary["before"], summary["interrupted"]) == (4, 3, 0, False)
    assert [one["file"] for one in summary["failed"]] == ["broken.png"]
    assert summary["files"] == {"csv": str(tmp_path / "a.csv")}
    assert summary["pictures_per_second"] > 0
    table = rows(tmp_path / "a.csv")
    assert [row["file"] for row in table] == ["a.png", "below/b.jpg", "caf\\xe9.png"]
    assert table[0]["caption"] == f'a, "b"\nof {len(RED)}'
    assert (table[0]["text"], table[0]["model"]) == (f'sks, a, "b" of {len(RED)}', "blip")
    assert base64.b64decode(table[2]["file_bytes"]) == b"caf\xe9.png"


def test_a_gallery_is_one_page_of_its_own(fake: FakeService, photos: Path, tmp_path: Path) -> None:
    (photos / "broken<b>.png").write_bytes(b"text")
    fake.answer = lambda item, data: {"caption": "<script>alert(1)</script> & a dog", "finish_reason": "stop"}
    page = tmp_path / "out" / "gallery.html"
    assert looksee("caption", photos, "--gallery", page).exit_code == 1
    text = page.read_text()
    assert text.count("<figure>") == text.count("data:image/jpeg;base64,") == 3
    assert text.count("<script>") == 1, "the page's own"
    assert "&lt;script&gt;alert(1)&lt;/script&gt; &amp; a dog" in text
    assert "<b>broken&lt;b&gt;.png</b> This is not a picture" in text
    assert "caf\\xe9.png" in text
    assert not re.search(r'(src|href)="(?!data:)', text), "nothing comes from elsewhere"


def test_a_gallery_has_boxes_and_points(fake: FakeService, photos: Path, tmp_path: Path) -> None:
    looksee("detect", photos, "--object", "cat", "--gallery", tmp_path / "boxes.html")
    text = (tmp_path / "boxes.html").read_text()
    assert text.count("<rect x=0.10000 y=0.20000 width=0.40000 height=0.40000") == 3
    assert "<title>cat 0.90</title>" in text
    assert "1 &times; cat" in text
    looksee("point", photos, "--object", "cat", "--gallery", tmp_path / "points.html")
    assert (tmp_path / "points.html").read_text().count("M0.25000 0.50000h0") == 3


def test_a_picture_that_was_replaced_or_went_is_in_no_export(fake: FakeService, photos: Path, tmp_path: Path) -> None:
    looksee("detect", photos, "--object", "cat")
    (photos / "a.png").unlink()
    fake.answer = lambda item, data: {"status": 400, "error": {"code": "x", "message": "No.", "param": "image"}}
    (photos / "below" / "b.jpg").write_bytes(RED)
    done = looksee("detect", photos, "--object", "cat", "--csv", tmp_path / "a.csv")
    assert done.exit_code == 1
    assert [row["file"] for row in rows(tmp_path / "a.csv")] == ["caf\\xe9.png"]
