"""How a text is sampled, as the members of a request in JSON: those that servers beside OpenAI's have too."""

from __future__ import annotations

from dataclasses import replace
from typing import Annotated

from pydantic import BaseModel, Field

from looksee.core import errors
from looksee.core.scoring.tokens import MOST_ALTERNATIVES
from looksee.core.tasks import Sampling
from looksee.http.inputs import parameters
from looksee.http.inputs.bodies import Integer

_INT64 = 2**63
_MOST_BIASES = 300
_MOST_TOP_K = 1000

# How a text is drawn, in the APIs where all of it may be left out.
Temperature = Annotated[float | None, Field(ge=0, le=2, description="0, as without one: the likeliest word each time")]
TopP = Annotated[
    float | None, Field(ge=0, le=1, description="with a temperature: of the likeliest words, so much in all")
]
Seed = Annotated[
    Integer | None,
    Field(
        ge=-_INT64,
        lt=_INT64,
        description="with a temperature: the same seed gives the same answer",
        json_schema_extra=parameters.SEED,
    ),
]


class LogprobsFields(BaseModel):
    """What asks for the probabilities of an answer's tokens, as OpenAI has it."""

    logprobs: bool | None = Field(None, description="tell each token's log-probability")
    top_logprobs: Integer | None = Field(
        None,
        ge=0,
        le=MOST_ALTERNATIVES,
        description="with `logprobs`: so many of the likeliest tokens in each place too",
        json_schema_extra={"minimum": 0, "maximum": MOST_ALTERNATIVES, "examples": [5]},
    )

    def asked_logprobs(self) -> int | None:
        """`Sampling.logprobs`. Raises InvalidRequest for likeliest tokens without `logprobs`."""
        if not self.logprobs:
            if self.top_logprobs:
                raise errors.InvalidRequest(
                    "'top_logprobs' go with 'logprobs' alone; leave them out, or send 'logprobs' as true.",
                    param="top_logprobs",
                )
            return None
        return self.top_logprobs or 0


class SamplingFields(BaseModel):
    """What changes the logits of tokens, greedy or not; and what leaves some of them out where one is drawn."""

    top_k: Integer | None = Field(
        None,
        ge=-1,
        le=_MOST_TOP_K,
        description="with a temperature: of so many of the likeliest words; 0 or -1: all",
        json_schema_extra={"minimum": -1, "maximum": _MOST_TOP_K, "examples": [40]},
    )
    min_p: float | None = Field(
        None, ge=0, le=1, description="with a temperature: words with at least so much of the likeliest one's chance"
    )
    repetition_penalty: float | None = Field(
        None, ge=0.1, le=10, description="above 1: words that the answer has already are less likely"
    )
    presence_penalty: float | None = Field(
        None, ge=-2, le=2, description="above 0: the same, once for each such word; as OpenAI has it"
    )
    frequency_penalty: float | None = Field(
        None, ge=-2, le=2, description="above 0: the same, as often as the answer has the word; as OpenAI has it"
    )
    logit_bias: dict[str, Annotated[float, Field(ge=-100, le=100)]] | None = Field(
        None,
        max_length=_MOST_BIASES,
        description="added to tokens' logits, by their ids in the model's own tokenizer",
    )

    def drawn(self, temperature: float | None, top_p: float | None, seed: int | None) -> Sampling:
        """The sampling of these, where what is not given has no effect. Raises InvalidValue."""
        return self.applied(Sampling(temperature or 0.0, 1.0 if top_p is None else top_p, seed=seed))

    def applied(self, sampling: Sampling) -> Sampling:
        """`sampling` with these. Raises InvalidValue for a token id that is none."""
        given = {
            name: value
            for name in ("min_p", "repetition_penalty", "presence_penalty", "frequency_penalty")
            if (value := getattr(self, name)) is not None
        }
        top_k = max(0, self.top_k or 0)
        return replace(sampling, **given, top_k=top_k, logit_bias=self._biases()).effective

    def _biases(self) -> tuple[tuple[int, float], ...]:
        found: dict[int, float] = {}
        for name, bias in (self.logit_bias or {}).items():
            if not (name.isascii() and name.isdigit()):
                raise errors.InvalidValue("'logit_bias' must have token ids as its names.", param="logit_bias")
            found[int(name)] = bias
        return tuple(sorted((token, bias) for token, bias in found.items() if bias))
