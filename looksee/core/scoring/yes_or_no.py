"""How likely a model found a yes, by the tokens of its answer to a question of yes or no.

The token that decides is the first one at which one of the words begins. Of it and of the likeliest ones in its place,
those that say yes and those that say no are summed: P(yes) / (P(yes) + P(no)). What else might have been said counts
nothing.
"""

from __future__ import annotations

import math
import re
from collections.abc import Sequence

from looksee.core.scoring.tokens import TokenChance, TokenScore

ALTERNATIVES = 20  # of each token, that have to be told
_WORDS = {"yes": True, "true": True, "no": False, "false": False}
_WORD = re.compile(rf"(?:{'|'.join(_WORDS)})\b")
_AROUND = " \t\r\n\"'`*_.,!;:{[(\u2581"


def yes_probability(tokens: Sequence[TokenScore]) -> float | None:
    """The probability of yes, from 0 to 1; None where no token decides, or too little is known of the other side.

    Where one side is not among the alternatives it is less likely than the last of them: that is then its share.
    """
    token = next((token for number, token in enumerate(tokens) if _begins_a_word(tokens[number:])), None)
    if token is None:
        return None
    known = {chance.data: chance for chance in (*token.alternatives, token.chosen)}.values()
    yes, no = (sum(math.exp(chance.logprob) for chance in known if _said(chance) is side) for side in (True, False))
    least = math.exp(min((chance.logprob for chance in token.alternatives), default=-math.inf))
    yes, no = yes or min(least, no), no or min(least, yes)
    return yes / (yes + no) if yes + no > 0 else None


def _begins_a_word(tokens: Sequence[TokenScore]) -> bool:
    """Whether the text of these begins with one of the words, in the first of them."""
    text = b"".join(token.chosen.data for token in tokens).decode(errors="replace").lstrip(_AROUND).lower()
    return bool(tokens[0].chosen.text.strip(_AROUND)) and _WORD.match(text) is not None


def _said(chance: TokenChance) -> bool | None:
    """The verdict that a token is, or begins: a tokenizer may have a word in several pieces."""
    text = chance.text.strip(_AROUND).lower()
    found = {said for word, said in _WORDS.items() if text and word.startswith(text)}
    return found.pop() if len(found) == 1 else None
