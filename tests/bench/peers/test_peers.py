"""One decoder in several engines: all of them say the same."""

from __future__ import annotations

import json
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import pytest
import torch
from transformers import AutoModelForImageTextToText

from bench.peers import __main__ as peers
from bench.peers import engines, tables
from bench.peers.engines import DecoderEngine, OwnDecoder
from bench.peers.plain_decoder import PlainDecoder, causal
from looksee.models.weights.source import SAMPLES

SAMPLE = SAMPLES / "intern_vlm"


def said(engine: DecoderEngine, rows: int) -> torch.Tensor:
    """Logits (3, rows, vocabulary) of three steps behind a prompt of 12 tokens."""
    engine.prefill(rows, 12)
    return torch.stack([engine.step() for _ in range(3)])


@pytest.fixture(scope="module")
def own() -> OwnDecoder:
    return OwnDecoder(SAMPLE, "float32")


def test_rows_and_prompts_of_one_engine_do_not_see_those_before(own: OwnDecoder) -> None:
    first = said(own, 1)
    three = said(own, 3)
    assert torch.allclose(three[:, :1], first, atol=1e-4)
    assert torch.equal(said(own, 1), first)
    assert not torch.allclose(three[:, 0], three[:, 1], atol=1e-2)


@torch.inference_mode()
def test_the_plain_module_says_what_our_decoder_says(own: OwnDecoder) -> None:
    net: Any = AutoModelForImageTextToText.from_pretrained(SAMPLE, dtype=torch.float32)
    text = net.model.language_model
    config = net.config.text_config
    plain = PlainDecoder(text, net.lm_head)
    width = config.hidden_size // config.num_attention_heads
    past = [torch.zeros(2, config.num_key_value_heads, 0, width)] * (2 * config.num_hidden_layers)
    expected = said(own, 2)
    ids, before = engines.prompt_ids(2, 12), 0
    for step in range(4):
        positions = torch.arange(before, before + ids.shape[1]).expand(2, -1)
        logits, *kept = plain(text.embed_tokens(ids), positions, causal(2, ids.shape[1], before), *past)
        past, before = list(kept), before + ids.shape[1]
        ids = torch.full((2, 1), 5)
        if step:
            assert torch.allclose(logits, expected[step - 1], atol=1e-3)


@pytest.mark.skipif(find_spec("openvino") is None, reason="openvino is not installed (pip install -e '.[peers]')")
def test_openvino_says_what_our_decoder_says(own: OwnDecoder) -> None:
    for engine in engines.available(SAMPLE, 1, ["float32"])[1:]:
        exact = "int8" not in engine.name
        for rows in (1, 3, 1):
            found, expected = said(engine, rows), said(own, rows)
            assert found.shape == expected.shape
            alike = torch.nn.functional.cosine_similarity(found, expected, dim=-1).min()
            assert alike > (0.9999 if exact else 0.98)


def test_a_mask_lets_a_token_see_itself_and_what_is_before() -> None:
    assert causal(1, 2, 1)[0, 0].tolist() == [[0, 0, -torch.inf], [0, 0, 0]]


def test_the_command_tells_what_it_could_not_measure(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    arguments = [
        "--checkpoint",
        str(SAMPLE),
        "--dtype",
        "float32",
        "--rows",
        "1",
        "2",
        "--length",
        "10",
        "--steps",
        "2",
    ]
    peers.main([*arguments, "--rounds", "1", "--threads", "1", "--results", str(tmp_path)])
    shown = capsys.readouterr().out
    record = json.loads((tmp_path / "peers.json").read_text())
    assert all(reason in shown for reason in engines.absent())
    assert record["absent"] == engines.absent()
    assert any("llama.cpp" in reason for reason in record["absent"])
    assert (find_spec("openvino") is None) == any(reason.startswith("OpenVINO: not") for reason in record["absent"])
    first = record["lines"][0]
    assert first["engine"] == "Looksee, float32"
    assert [load["rows"] for load in first["loads"]] == [1, 2]
    assert all(load["prefill_seconds"] > 0 and load["step_seconds"] > 0 for load in first["loads"])
    assert tables.table(record["lines"]) in shown
