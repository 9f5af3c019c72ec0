"""Parameters of chats that clients of other servers send and that have no effect here, with the values that ask for
nothing: those are taken, and any other is refused by name.

From the API references of OpenAI, vLLM, llama.cpp, SGLang, text-generation-inference and OpenRouter.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from typing import Any

from looksee.core import errors
from looksee.http.error_sentences import LONGEST_NAME
from looksee.http.inputs import known

# Whatever is sent, the answer is the same. None always asks for nothing.
_WITHOUT_EFFECT = frozenset(
    {
        *("metadata", "parallel_tool_calls", "prediction", "prompt_cache_key", "prompt_cache_options"),
        *("prompt_cache_retention", "safety_identifier", "service_tier", "store", "user"),
        *("cache_prompt", "cache_salt", "priority", "request_id"),
        # What only says how something is done that is refused.
        *("dry_allowed_length", "dry_base", "dry_penalty_last_n", "dry_sequence_breakers", "dynatemp_exponent"),
        *("mirostat_eta", "mirostat_tau", "repeat_last_n", "xtc_threshold"),
    }
)
_NEUTRAL: dict[str, tuple[Any, ...]] = {
    # OpenAI
    "function_call": ("auto", "none"),
    "functions": ([],),
    "logprobs": (False,),
    "modalities": (["text"],),
    "reasoning_effort": ("none", "minimal", "low", "medium"),  # more than that asks for thoughts
    "tool_choice": ("auto", "none"),
    "tools": ([],),
    "top_logprobs": (0,),
    "verbosity": ("medium",),
    # Sampling elsewhere
    "dry_multiplier": (0,),
    "dynatemp_range": (0,),
    "epsilon_cutoff": (0,),
    "eta_cutoff": (0,),
    "length_penalty": (1,),
    "mirostat": (0,),
    "no_repeat_ngram_size": (0,),
    "repeat_penalty": (1,),
    "tfs_z": (1,),
    "top_a": (0,),
    "top_n_sigma": (-1,),
    "typical": (1,),
    "typical_p": (1,),
    "xtc_probability": (0,),
    # What is generated
    "best_of": (1,),
    "ignore_eos": (False,),
    "min_keep": (0,),
    "min_new_tokens": (0,),
    "min_tokens": (0,),
    "n_predict": (-1,),
    "n_probs": (0,),
    "use_beam_search": (False,),
    # Templates and tokens
    "add_generation_prompt": (True,),
    "add_special_tokens": (False,),
    "bad_words": ([],),
    "chat_template_kwargs": ({},),
    "continue_final_message": (False,),
    "documents": ([],),
    "echo": (False,),
    "extra_body": ({},),
    "enable_thinking": (False,),
    "grammar": ("",),
    "include_reasoning": (False,),
    "include_stop_str_in_output": (False,),
    "logits_processors": ([],),
    "mm_processor_kwargs": ({},),
    "models": ([],),
    "no_stop_trim": (False,),
    "plugins": ([],),
    "provider": ({},),
    "return_token_ids": (False,),
    "return_tokens_as_token_ids": (False,),
    "skip_special_tokens": (True,),
    "spaces_between_special_tokens": (True,),
    "stop_token_ids": ([],),
    "timings_per_token": (False,),
    "transforms": ([],),
    "watermark": (False,),
}
# Other servers' names for what is here.
_INSTEAD = {
    "guided_choice": "choices",
    "guided_json": "response_format",
    "guided_regex": "regex",
    "structured_outputs": "choices', 'regex' or 'response_format",
}


def values(name: str) -> tuple[Any, ...] | None:
    """The values of a parameter that ask for nothing; None where all do."""
    return None if name in _WITHOUT_EFFECT else _NEUTRAL.get(name, ())


def check(sent: Mapping[str, Any], known_names: Iterable[str]) -> None:
    """Raises UnsupportedParameter for a parameter that would change the answer; a name that nobody knows may be meant
    for one of `known_names`.
    """
    for name, value in sent.items():
        if value is None or name in _WITHOUT_EFFECT:
            continue
        neutral = _NEUTRAL.get(name, ())
        if not any(_same(value, one) for one in neutral):
            instead = "".join(f" or send {json.dumps(one)}" for one in neutral)
            hint = "" if neutral else known.nearest(name, known_names)
            if name in _INSTEAD:
                hint = f" Send '{_INSTEAD[name]}'."
            shown = name[:LONGEST_NAME]
            raise errors.UnsupportedParameter(f"'{shown}' is not supported; leave it out{instead}.{hint}", param=shown)


def check_one(name: str, value: Any, neutral: tuple[Any, ...]) -> None:
    """Raises UnsupportedParameter for a parameter that is not here, unless its value is one that asks for nothing."""
    if not any(_same(value, one) for one in neutral):
        instead = "".join(f" or send {json.dumps(one)}" for one in neutral)
        raise errors.UnsupportedParameter(f"'{name}' is not supported; leave it out{instead}.", param=name)


def _same(value: Any, neutral: Any) -> bool:
    """Whether they are equal in JSON, where true is not 1."""
    return isinstance(value, bool) == isinstance(neutral, bool) and bool(value == neutral)
