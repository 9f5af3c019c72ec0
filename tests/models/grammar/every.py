"""Answers by schemas and logits made of a seed, over the tokens of the sample weights: what they are, how each ended.

    python -m tests.models.grammar.every [COUNT]

`make grammars` runs a thousand for each model's tokens, and prints the table of docs/openai.md.
"""

from __future__ import annotations

import json
import sys
import time
from collections import Counter
from typing import Any

import torch
from jsonschema import Draft202012Validator
from tokenizers import Tokenizer

from looksee.core.tasks import GREEDY, Grammar, Sampling
from looksee.http.inputs.forced import schemas
from looksee.models.grammar.grammars import Grammars
from looksee.models.interface import Row
from looksee.models.sampling import choose, read_indices
from looksee.models.texts.detokenize import Detokenizer
from looksee.models.texts.row_text import RowText
from looksee.models.weights.source import SAMPLES
from tests.models.grammar.schemas import schema

ENDS = {"blip2": "</s>", "gemma": "<end_of_turn>", "intern_vlm": "<|im_end|>", "moondream": "<|endoftext|>"}
_TOKENS = 160
_SPARE = 23  # ids that there are logits of and no tokens, as published checkpoints have


class Tokens:
    """The tokens of one model's sample weights."""

    def __init__(self, model: str) -> None:
        self.tokenizer = Tokenizer.from_file(str(SAMPLES / model / "tokenizer.json"))
        self.end: int = self.tokenizer.get_vocab()[ENDS[model]]
        self.size: int = self.tokenizer.get_vocab_size() + _SPARE
        self.grammars = Grammars(self.tokenizer, {self.end}, self.size)
        # An answer of random tokens ends sooner where some of what closes a string, a list or an object is likelier.
        names = [self.tokenizer.id_to_token(number) or "" for number in range(self.size)]
        self.seconds, self.chosen = 0.0, 0  # that choosing took, and how many tokens were
        self.closing = torch.tensor([3.0 * (name[:1] in tuple('"}],')) for name in names])

    def row(self, wanted: Grammar, seed: int) -> Row:
        rule = Sampling(1.0, seed=seed) if seed % 2 else GREEDY
        matcher = self.grammars.matcher(wanted)
        return Row(cost=1, max_new_tokens=_TOKENS, prompt_tokens=1, sampling=rule, seed=seed, matcher=matcher)

    def decode(self, rows: list[Row]) -> None:
        """Choose tokens of random logits for all rows to their ends, together."""
        generator = torch.Generator().manual_seed(len(rows))
        running = rows
        while running := [row for row in running if row.finish is None and row.error is None]:
            logits = torch.randn(len(running), self.size, generator=generator) * 2 + self.closing
            began = time.thread_time()
            ids = read_indices(choose(logits, running, [0] * len(running)))
            self.seconds += time.thread_time() - began
            self.chosen += len(running)
            for row, token in zip(running, ids, strict=True):
                assert token is not None
                if row.error is None:
                    row.tokens.append(token)
                    row.finish = "stop" if token == self.end or row.is_over else None
                    if row.finish is None and len(row.tokens) == _TOKENS:
                        row.finish = "length"

    def text(self, row: Row) -> str:
        return RowText(Detokenizer(self.tokenizer), forced=True).whole(row.tokens, row.finish)[0]


def judged(tokens: Tokens, seeds: range) -> Counter[str]:
    """How many answers were `valid`, cut by their length (`length`), neither (`invalid`), or given up (`error`)."""
    wanted = [schema(seed) for seed in seeds]
    rows = [
        tokens.row(Grammar("json_schema", json.dumps(schemas.forced(one))), seed)
        for one, seed in zip(wanted, seeds, strict=True)
    ]
    tokens.decode(rows)
    return Counter(_judged(tokens, row, one) for row, one in zip(rows, wanted, strict=True))


def _judged(tokens: Tokens, row: Row, wanted: dict[str, Any]) -> str:
    if row.error is not None:
        return "error"
    if row.finish == "length":
        return "length"
    try:
        content = json.loads(tokens.text(row))
    except ValueError:
        return "invalid"
    return "valid" if Draft202012Validator(wanted).is_valid(content) else "invalid"


def main(count: int) -> None:
    for model in ENDS:
        began = time.thread_time()
        tokens, found = Tokens(model), Counter[str]()
        for start in range(0, count, 50):
            found += judged(tokens, range(start, min(count, start + 50)))
        each = 1000 * tokens.seconds / tokens.chosen
        took = time.thread_time() - began
        print(
            f"{model}: {dict(sorted(found.items()))}, {each:.3f} ms a token in a row of up to 50, {took:.0f} s in all"
        )
        assert set(found) <= {"valid", "length"}, found


if __name__ == "__main__":
    torch.set_num_threads(1)
    main(int(sys.argv[1]) if len(sys.argv) > 1 else 1000)
