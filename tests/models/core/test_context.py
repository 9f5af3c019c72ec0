"""What of a context a prompt leaves, and what is said of one that leaves nothing."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from looksee.core import errors
from looksee.models.core.context import room
from looksee.models.registry import REGISTRY
from looksee.models.weights.source import SAMPLES, resolve


@pytest.mark.parametrize(("prompt", "wanted", "found"), [(0, 50, 100), (84, 50, 16), (99, 1, 1), (50, 50, 50)])
def test_room(prompt: int, wanted: int, found: int) -> None:
    assert room(prompt, 100, wanted) == found


@pytest.mark.parametrize(("prompt", "wanted", "needed"), [(85, 50, 16), (2689, 50, 16), (100, 1, 1)])
def test_no_room_is_told_in_numbers(prompt: int, wanted: int, needed: int) -> None:
    with pytest.raises(errors.PromptTooLong) as caught:
        room(prompt, 100, wanted)
    assert caught.value.message == (
        f"This model's maximum context length is 100 tokens; the prompt has {prompt} with its pictures, and the answer "
        f"needs {needed} more. Send shorter texts, fewer pictures or fewer earlier turns."
    )


@pytest.mark.parametrize(
    ("model", "sample"), [("blip", 64), ("blip2", 256), ("gemma", 1024), ("intern_vlm", 1024), ("moondream", 2048)]
)
def test_each_models_context_is_known_before_it_is_loaded(model: str, sample: int) -> None:
    assert resolve(model, "hub", "").context() == REGISTRY[model].context
    assert resolve(model, "sample", "").context() == sample


def test_of_other_weights_it_is_what_their_configuration_says(tmp_path: Path) -> None:
    config = tmp_path / "config.json"
    for text, wanted in (
        (json.dumps({"text_config": {"max_position_embeddings": 77}}), 77),
        (json.dumps({"text_config": {}}), 131_072),
        (json.dumps({"text_config": None}), 131_072),
        ("[]", 131_072),
        ("{", 131_072),
    ):
        config.write_text(text + " " * len(text))
        assert resolve("gemma", "hub", str(tmp_path)).context() == wanted, text
    config.unlink()
    assert resolve("gemma", "hub", str(tmp_path)).context() is None
    assert resolve("gemma", "hub", "somebody/elses").context() is None
    assert (SAMPLES / "gemma" / "config.json").is_file()
