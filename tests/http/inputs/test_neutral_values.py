"""What clients of other servers send by itself: taken as long as it asks for nothing."""

from __future__ import annotations

from typing import Any

import pytest

from looksee.core import errors
from looksee.http.inputs import neutral_values


@pytest.mark.parametrize(
    "sent",
    [
        {"chat_template_kwargs": {}, "best_of": 1},
        {"length_penalty": 1.0, "min_tokens": 0},
        {"use_beam_search": False, "ignore_eos": False, "skip_special_tokens": True, "stop_token_ids": []},
        {"add_generation_prompt": True, "continue_final_message": False, "echo": False, "documents": []},
        {"repeat_penalty": 1.0, "mirostat": 0, "typical_p": 1, "tfs_z": 1.0, "grammar": "", "cache_prompt": True},
        {"dry_multiplier": 0.0, "xtc_probability": 0.0, "top_n_sigma": -1.0, "dynatemp_range": 0, "n_probs": 0},
        {"mirostat_tau": 5.0, "mirostat_eta": 0.1, "xtc_threshold": 0.1, "dry_base": 1.75, "repeat_last_n": 64},
        {"transforms": [], "provider": {}, "plugins": [], "include_reasoning": False, "top_a": 0},
        {"guided_json": None, "made_up": None, "logits_processors": None, "tfs_z": None},
        {"tools": [], "tool_choice": "auto", "user": "me", "priority": 3},
    ],
    ids=lambda sent: next(iter(sent)),
)
def test_what_asks_for_nothing_is_taken(sent: dict[str, Any]) -> None:
    neutral_values.check(sent, [])


def test_of_a_long_name_an_error_has_the_beginning() -> None:
    with pytest.raises(errors.UnsupportedParameter) as caught:
        neutral_values.check({"a" * 10_000: 1}, [])
    assert caught.value.param == "a" * 100


@pytest.mark.parametrize(
    ("sent", "message"),
    [
        ({"repeat_penalty": 1.1}, "'repeat_penalty' is not supported; leave it out or send 1."),
        ({"function_call": "x"}, '\'function_call\' is not supported; leave it out or send "auto" or send "none".'),
        (
            {"chat_template_kwargs": {"enable_thinking": True}},
            "'chat_template_kwargs' is not supported; leave it out or send {}.",
        ),
        ({"logprobs": True}, "'logprobs' is not supported; leave it out or send false."),
        ({"modalities": ["audio"]}, "'modalities' is not supported; leave it out or send [\"text\"]."),
        ({"best_of": True}, "'best_of' is not supported; leave it out or send 1."),
        ({"ignore_eos": 0}, "'ignore_eos' is not supported; leave it out or send false."),
        ({"skip_special_tokens": False}, "'skip_special_tokens' is not supported; leave it out or send true."),
        ({"guided_json": {}}, "'guided_json' is not supported; leave it out. Send 'response_format'."),
        ({"made_up": 0}, "'made_up' is not supported; leave it out."),
    ],
    ids=lambda given: next(iter(given)) if isinstance(given, dict) else None,
)
def test_what_would_change_the_answer_is_refused_by_name(sent: dict[str, Any], message: str) -> None:
    with pytest.raises(errors.UnsupportedParameter) as caught:
        neutral_values.check({"user": "me", **sent}, [])
    assert (caught.value.param, caught.value.message) == (next(iter(sent)), message)
