"""The golden vectors in `golden/` (see its README.md), and models made of their checkpoints."""

from __future__ import annotations

import functools
import io
import json
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from PIL import Image
from safetensors.torch import load_file
from tokenizers import AddedToken, Tokenizer, decoders, models, pre_tokenizers
from torch import Tensor

from looksee.models.moondream.config import Config
from looksee.models.moondream.model import Moondream
from looksee.models.moondream.row_builder import TextOptions
from looksee.models.moondream.rows import MoondreamRow

FOLDER = Path(__file__).parent / "golden"
NAMES = ("mini70", "full378")
CPU = torch.device("cpu")
OBJECTS = {(70, 71): "a", (80,): "b"}  # how `spelling` encodes these with a space before them

Case = dict[str, Any]


@functools.cache
def expected(name: str, file: str = "expected") -> dict[str, Any]:
    record: dict[str, Any] = json.loads((FOLDER / name / f"{file}.json").read_text())
    return record


@functools.cache
def tensors(name: str, file: str = "expected") -> dict[str, Tensor]:
    return load_file(FOLDER / name / f"{file}.safetensors")


@functools.cache
def image(name: str) -> bytes:
    """A picture's file, as the code that computed the vectors saw it: it left transparency out."""
    data = (FOLDER / "images" / name).read_bytes()
    picture = Image.open(io.BytesIO(data))
    if "A" not in picture.getbands():
        return data
    file = io.BytesIO()
    picture.convert("RGB").save(file, "PNG")
    return file.getvalue()


@functools.cache
def config(name: str) -> Config:
    return Config.of(json.loads((FOLDER / name / "config.json").read_text()))


@functools.cache
def spelling() -> Tokenizer:
    """A byte-level tokenizer of 256 ids: 21 special ones, single letters, and " b" in one.

    The golden files have ids and no words. Each of their ids but 70 and 80 has a letter here, so their questions can be
    spelt; their objects are " a" and " b".
    """
    letters = sorted(pre_tokenizers.ByteLevel.alphabet(), key=lambda letter: (not letter.isascii(), letter))
    letters = [letter for letter in letters if letter not in "Ġab"]
    vocabulary = {f"<|{number}|>": number for number in range(1, 21)} | {"<|endoftext|>": 0}
    places = {70: "Ġ", 71: "a", 80: "Ġb", 81: "b"}
    ascii_places = iter([150, 200, *range(21, 256)])
    for letter in letters:
        place = next((place for place in ascii_places if place not in places), None)
        if place is None:
            break
        places[place] = letter
    vocabulary |= {letter: place for place, letter in places.items()}
    tokenizer = Tokenizer(models.BPE(vocab=vocabulary, merges=[("Ġ", "b")]))
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False)
    tokenizer.decoder = decoders.ByteLevel()
    tokenizer.add_special_tokens([AddedToken(f"<|{n}|>" if n else "<|endoftext|>", special=True) for n in range(20)])
    tokenizer.add_tokens([AddedToken("<|20|>", special=False)])
    return tokenizer


def directory(name: str, *, tokenizer: bool = True) -> Path:
    """A golden checkpoint in the layout that is published, for as long as the process lives."""
    folder = Path(tempfile.mkdtemp(dir=_scratch()))
    (folder / "config.json").write_text(json.dumps({"config": json.loads((FOLDER / name / "config.json").read_text())}))
    (folder / "model.safetensors").symlink_to(FOLDER / name / "model.safetensors")
    if tokenizer:
        spelling().save(str(folder / "tokenizer.json"))
    return folder


@functools.cache
def _scratch() -> str:
    _kept.append(tempfile.TemporaryDirectory())
    return _kept[0].name


_kept: list[tempfile.TemporaryDirectory[str]] = []


def model(
    name: str, *, dtype: torch.dtype = torch.float32, bias: Mapping[str, float] | None = None, **options: Any
) -> Moondream:
    """A golden checkpoint, loaded; `bias` overrides the LM head's biases of some ids."""
    made = Moondream(directory(name), device=CPU, dtype=dtype, **options)
    for token, value in (bias or {}).items():
        made.net.text.lm_head.bias[int(token)] = value
    return made


def words(ids: list[int]) -> str:
    """The text that is encoded as `ids`."""
    text: str = spelling().decode(ids)
    assert spelling().encode(text).ids == ids
    return text


def row(model: Moondream, case: Case) -> MoondreamRow:
    """The row of a golden case, asked in words as everybody asks."""
    picture = image(case["image"]) if case.get("image") else None
    builder, kind = model.row_builder, case["kind"]
    if kind in ("detect", "point"):
        assert picture is not None
        thing = OBJECTS[tuple(case["object_ids"])]
        return getattr(builder, kind)(picture, thing, max_objects=case["max_objects"])  # type: ignore[no-any-return]
    if kind.startswith("caption_"):
        assert picture is not None
        return builder.caption(picture, kind.removeprefix("caption_"), TextOptions(20))
    return builder.query(
        picture,
        words(case["question_ids"]),
        TextOptions(case.get("max_tokens", 20)),
        spatial_refs=case.get("spatial_refs") or (),
        reasoning=kind == "query_reasoning",
    )
