"""The member `logprobs` of a chat's answers, in OpenAI's shape, and the one number for a whole text."""

from __future__ import annotations

from typing import Any

from looksee.core.scoring.tokens import TokenChance, mean_logprob
from looksee.core.tasks import Answer


def logprobs_member(answer: Answer) -> dict[str, Any]:
    """The tokens of a text whose log-probabilities were asked for."""
    content = [
        {**_told(token.chosen), "top_logprobs": [_told(chance) for chance in token.alternatives]}
        for token in answer.tokens
    ]
    return {"content": content, "refusal": None}


def mean_member(answer: Answer) -> dict[str, float | None]:
    """The member `mean_logprob` of a text, None for an empty one."""
    mean = mean_logprob(answer.tokens)
    return {"mean_logprob": None if mean is None else round(mean, 6)}


def _told(chance: TokenChance) -> dict[str, Any]:
    return {"token": chance.text, "logprob": chance.logprob, "bytes": list(chance.data)}
