"""The card says how weights came about."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from samples import card

ACCURACY = {("caption", 32): 0.98}


def written(directory: Path, **more: Any) -> str:
    run = {"steps": 9, "batch_size": 2, "threads": 1, "curve": [{"step": 9, "seconds": 120, "loss": 0.25}]}
    (directory / "model.safetensors").write_bytes(b"0" * 4_440_000)
    (directory / "training.json").write_text(json.dumps({"seed": 0, **run, **more}))
    return card.write(directory, "gemma", 500, ACCURACY).read_text()


def test_a_card_has_its_command_and_figures(tmp_path: Path) -> None:
    text = written(tmp_path)
    assert "- Made by this command, in 2 minutes on two CPU cores" in text
    assert "\n  `python -m samples.training gemma --seed 0 --steps 9 --batch-size 2 --threads 1`\n" in text
    assert "has 4.4 MB" in text
    assert "| caption | 32 | 98.0% |" in text
    assert "| 9 | 120 | 0.25 |" in text


def test_a_card_has_the_commands_in_their_order(tmp_path: Path) -> None:
    written(tmp_path, stopped=7)
    first = json.loads((tmp_path / "training.json").read_text())
    text = written(tmp_path, seed=1, before=first)
    assert text.index("--seed 0") < text.index("gemma --further --seed 1")
    assert "- Made by this command, stopped at step 7, in 2 minutes" in text
    assert "- Then with the exercises of that time, in 2 minutes" in text
