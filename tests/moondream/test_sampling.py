"""What is left to choose from, by the golden cases of the model's own default rule."""

from __future__ import annotations

import json

import pytest
import torch

from models.base import Row
from models.sampling import choose
from tests.moondream import vectors
from tests.moondream.vectors import Case
from vision.tasks import Sampling

ALL = json.loads((vectors.FOLDER / "units" / "top_p.json").read_text())
CASES = [case for case in ALL if "logits" in case and case["top_p"] > 0]
DRAWS = 4000


@pytest.mark.parametrize("case", CASES, ids=lambda case: f"{case['temperature']}-{case['top_p']}")
def test_frequencies(case: Case) -> None:
    sampling = Sampling(temperature=case["temperature"], top_p=case["top_p"], seed=1)
    rows = [Row(cost=0, max_new_tokens=1, prompt_tokens=0, sampling=sampling, seed=seed) for seed in range(DRAWS)]
    tokens = choose(torch.tensor(case["logits"]).expand(DRAWS, -1), rows)
    drawn = torch.bincount(torch.tensor(tokens), minlength=len(case["logits"])) / DRAWS
    wanted = torch.tensor(case["probs_after_top_p"])
    assert torch.all(drawn[wanted == 0] == 0)
    assert torch.all((drawn - wanted).abs() < 0.035)
