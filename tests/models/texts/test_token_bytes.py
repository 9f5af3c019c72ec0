"""Tokens as bytes: of all five tokenizers, and of a character that has several tokens."""

from __future__ import annotations

from typing import Any

import pytest
from tokenizers import Tokenizer, decoders, models, pre_tokenizers
from transformers import AutoTokenizer

from looksee.models.texts.token_bytes import TokenBytes
from looksee.models.weights.source import SAMPLES

TEXT = "a red circle and a blue square"


@pytest.mark.parametrize("name", ["blip", "blip2", "gemma", "intern_vlm", "moondream"])
def test_the_bytes_of_a_texts_tokens_are_the_text(name: str) -> None:
    if name == "moondream":
        tokenizer: Any = Tokenizer.from_file(str(SAMPLES / name / "tokenizer.json"))
    else:
        tokenizer = AutoTokenizer.from_pretrained(SAMPLES / name).backend_tokenizer
    ids = tokenizer.encode(TEXT, add_special_tokens=False).ids
    assert len(ids) > 3
    data = TokenBytes(tokenizer)
    assert b"".join(map(data.of, ids)).decode().strip() == TEXT


@pytest.mark.parametrize("text", ["\u00e9t\u00e9", "\U0001f600 ok", "\u4e2d"])
def test_parts_of_a_character_are_its_bytes(text: str) -> None:
    vocabulary = {character: number for number, character in enumerate(pre_tokenizers.ByteLevel.alphabet())}
    byte_level = Tokenizer(models.BPE(vocab=vocabulary, merges=[]))
    byte_level.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    byte_level.decoder = decoders.ByteLevel()
    pieces = {f"<0x{byte:02X}>": byte for byte in range(256)} | {"\u2581ok": 256}
    fallback = Tokenizer(models.BPE(vocab=pieces, merges=[], byte_fallback=True))
    fallback.decoder = decoders.Sequence([decoders.Replace("\u2581", " "), decoders.ByteFallback(), decoders.Fuse()])
    data = TokenBytes(byte_level)
    ids = byte_level.encode(text).ids
    assert [data.of(number) for number in ids] == [bytes([byte]) for byte in text.encode()]
    data = TokenBytes(fallback)
    assert b"".join(data.of(byte) for byte in text.encode()) == text.encode()
    assert data.of(256) == b" ok"


def test_a_piece_of_a_word_has_no_space_before_it() -> None:
    pieces = Tokenizer(models.WordPiece({"re": 0, "##d": 1, "[UNK]": 2}, unk_token="[UNK]"))
    pieces.decoder = decoders.WordPiece()
    assert [TokenBytes(pieces).of(number) for number in pieces.encode("red").ids] == [b" re", b"d"]


def test_an_id_without_a_token_and_special_ones() -> None:
    tokenizer = Tokenizer(models.WordLevel({"a": 0}, unk_token="a"))
    tokenizer.add_special_tokens(["<end>"])
    data = TokenBytes(tokenizer)
    assert (data.of(0), data.of(1), data.of(99)) == (b"a", b"<end>", b"")
