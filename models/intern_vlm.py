"""InternVL3."""

from __future__ import annotations

from typing import Any

from models.chat import Chat


def chat(tokenizer: Any, template: str) -> Chat:
    """How InternVL writes a turn: a picture is <img>, its tokens, </img>."""
    return Chat(
        tokenizer,
        template,
        placeholder=tokenizer.context_image_token,
        before=tokenizer.start_image_token,
        after=tokenizer.end_image_token,
        image=tokenizer.context_image_token_id,
    )
