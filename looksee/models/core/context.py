"""A model's context: the positions that a prompt, its pictures and the answer share."""

from __future__ import annotations

from looksee.core import errors

MIN_ANSWER_TOKENS = 16  # a prompt that leaves fewer positions is refused, unless fewer were asked for


def room(prompt_tokens: int, context: int, wanted: int) -> int:
    """How many new tokens fit behind a prompt of so many, counted with its pictures.

    Raises PromptTooLong when they are fewer than `wanted` and fewer than 16.
    """
    free = context - prompt_tokens
    needed = min(wanted, MIN_ANSWER_TOKENS)
    if free < needed:
        raise errors.PromptTooLong(
            f"This model's maximum context length is {context} tokens; the prompt has {prompt_tokens} with its "
            f"pictures, and the answer needs {needed} more. Send shorter texts, fewer pictures or fewer earlier turns.",
            param="prompt",
        )
    return free
