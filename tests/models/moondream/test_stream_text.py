"""Streamed text comes in the chunks of the golden cases."""

from __future__ import annotations

import json
from typing import Any

import pytest

from looksee.models.moondream.stream_text import whole_words
from tests.models.moondream import vectors

CASES = json.loads((vectors.FOLDER / "units" / "stream_chunks.json").read_text())


@pytest.mark.parametrize("case", CASES, ids=lambda case: ascii("".join(case["pieces"])))
def test_chunks(case: dict[str, Any]) -> None:
    pieces = [bytes.fromhex(piece) for piece in case["pieces_hex"]]
    texts = [b"".join(pieces[: count + 1]).decode(errors="replace") for count in range(len(pieces))]
    delivered, chunks = "", []
    for whole in [*map(whole_words, texts), texts[-1]]:
        assert whole.startswith(delivered)
        if whole != delivered:
            chunks.append(whole[len(delivered) :])
        delivered = whole
    assert chunks == case["chunks"]
