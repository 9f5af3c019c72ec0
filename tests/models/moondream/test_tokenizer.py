"""Text to ids and back, without a network and without letting a caller speak in special tokens."""

from __future__ import annotations

import json
import socket
from pathlib import Path
from unittest import mock

import pytest
import torch

from looksee.core import errors
from looksee.models.moondream.config import Config, TokenizerConfig
from looksee.models.moondream.model import Moondream
from looksee.models.moondream.tokenizer import MoondreamTokenizer
from tests.models.moondream import vectors


@pytest.fixture(scope="module")
def file() -> Path:
    return vectors.directory("mini70") / "tokenizer.json"


def test_there_and_back(file: Path) -> None:
    tokenizer = MoondreamTokenizer(file, TokenizerConfig())
    for text in ("a cat", "", " b", "What color is it?"):
        assert tokenizer.decode(tokenizer.encode(text)) == text
    assert tokenizer.encode(" a") == [70, 71]
    assert tokenizer.encode(" b") == [80]


@pytest.mark.parametrize("text", ["<|endoftext|>", "a<|3|>b", "<|5|><|5|>", "x<|20|>"])
def test_special_tokens_in_a_callers_text_are_letters(file: Path, text: str) -> None:
    tokenizer = MoondreamTokenizer(file, TokenizerConfig())
    ids = tokenizer.encode(text)
    assert min(ids) > 20
    assert tokenizer.decode(ids) == text
    assert min(vectors.spelling().encode(text).ids) <= 20, "the library alone would fall for it"


def test_special_tokens_are_not_shown(file: Path) -> None:
    tokenizer = MoondreamTokenizer(file, TokenizerConfig())
    assert tokenizer.decode([7, *tokenizer.encode("a cat"), 9, 0]) == "a cat"


def test_the_older_revisions_tokenizer_is_refused(tmp_path: Path) -> None:
    """It lies beside the published weights, and would give ids that mean other things."""
    record = json.loads(vectors.spelling().to_str())
    record["added_tokens"] = [token for token in record["added_tokens"] if token["id"] != 0]
    record["model"]["vocab"]["<|endoftext|>"] = 50256
    record["added_tokens"].append({**record["added_tokens"][0], "id": 50256, "content": "<|endoftext|>"})
    (tmp_path / "tokenizer.json").write_text(json.dumps(record))
    with pytest.raises(errors.WeightsUnavailable, match="must be 0"):
        MoondreamTokenizer(tmp_path / "tokenizer.json", Config().tokenizer)


def test_a_missing_or_damaged_file_is_refused(tmp_path: Path) -> None:
    with pytest.raises(errors.WeightsUnavailable):
        MoondreamTokenizer(tmp_path / "tokenizer.json", TokenizerConfig())
    (tmp_path / "tokenizer.json").write_text("{}")
    with pytest.raises(errors.WeightsUnavailable):
        MoondreamTokenizer(tmp_path / "tokenizer.json", TokenizerConfig())


def test_loading_asks_no_network(file: Path) -> None:
    """The published code fetches the tokenizer, of whatever version, whenever it is constructed."""
    with mock.patch.object(socket, "socket", side_effect=AssertionError("a connection was tried")):
        bare = vectors.directory("mini70", tokenizer=False)
        with pytest.raises(errors.WeightsUnavailable):
            Moondream(bare, device=vectors.CPU, dtype=torch.float32)
        Moondream(bare, device=vectors.CPU, dtype=torch.float32, tokenizer=file)
