"""Gemma 3."""

from __future__ import annotations

from typing import Any

from models.chat import Chat


def chat(tokenizer: Any, template: str) -> Chat:
    """How Gemma writes a turn: a picture stands between its marks, with an empty line before and behind."""
    return Chat(
        tokenizer,
        template,
        placeholder=tokenizer.boi_token,
        before=f"\n\n{tokenizer.boi_token}",
        after=f"{tokenizer.eoi_token}\n\n",
        image=tokenizer.image_token_id,
    )
