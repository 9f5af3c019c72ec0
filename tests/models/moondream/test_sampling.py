"""What is left to choose from, by the golden cases of the model's own default rule."""

from __future__ import annotations

import json

import pytest
import torch

from looksee.core.tasks import Sampling
from looksee.models.interface import Row
from looksee.models.sampling import choose
from tests.models.moondream import vectors
from tests.models.moondream.vectors import Case

CASES = json.loads((vectors.FOLDER / "units" / "top_p.json").read_text())
DRAWS = 4000


def logits_of(case: Case) -> torch.Tensor:
    """Some cases begin with probabilities, so that one of them ends exactly at `top_p`."""
    return torch.tensor(case["logits"]) if "logits" in case else torch.tensor(case["probs"]).log()


@pytest.mark.parametrize("case", CASES, ids=lambda case: f"{case.get('temperature', 'probs')}-{case['top_p']}")
def test_frequencies(case: Case) -> None:
    sampling = Sampling(temperature=case.get("temperature", 1.0), top_p=case["top_p"], seed=1)
    rows = [Row(cost=0, max_new_tokens=1, prompt_tokens=0, sampling=sampling, seed=seed) for seed in range(DRAWS)]
    tokens = choose(logits_of(case).expand(DRAWS, -1), rows, [0] * DRAWS)
    drawn = torch.bincount(tokens, minlength=len(case["probs_after_top_p"])) / DRAWS
    wanted = torch.tensor(case["probs_after_top_p"])
    assert torch.all(drawn[wanted == 0] == 0)
    assert torch.all((drawn - wanted).abs() < 0.035)
