"""Streamed text comes in the chunks of the golden cases."""

from __future__ import annotations

import json
from typing import Any

import pytest

from models.moondream.chunks import Chunks
from tests.moondream import vectors

CASES = json.loads((vectors.FOLDER / "units" / "stream_chunks.json").read_text())


@pytest.mark.parametrize("case", CASES, ids=lambda case: ascii("".join(case["pieces"])))
def test_chunks(case: dict[str, Any]) -> None:
    pieces = [bytes.fromhex(piece) for piece in case["pieces_hex"]]
    chunks = Chunks(lambda ids: b"".join(pieces[number] for number in ids).decode(errors="replace"))
    delivered = [chunks.push(number) for number in range(len(pieces))] + [chunks.flush()]
    assert [chunk for chunk in delivered if chunk] == case["chunks"]
    assert chunks.flush() == ""


def test_a_finished_line_is_not_decoded_again() -> None:
    asked: list[list[int]] = []

    def decode(ids: list[int]) -> str:
        asked.append(list(ids))
        return "".join("\n" if number == 1 else "x" for number in ids)

    chunks = Chunks(decode)
    assert [chunks.push(number) for number in (0, 1, 2)] == ["", "x\n", ""]
    assert asked[-1] == [2]
