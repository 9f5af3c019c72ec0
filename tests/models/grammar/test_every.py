"""Whatever the schema and whatever the logits: an answer is valid, or was cut by its length and says so."""

from __future__ import annotations

import pytest

from tests.models.grammar.every import ENDS, Tokens, judged


@pytest.mark.parametrize("model", ENDS)
def test_schemas_and_random_logits(model: str) -> None:
    """A sample of what `make grammars` runs."""
    found = judged(Tokens(model), range(80))
    assert found.keys() <= {"valid", "length"}
    assert found["valid"] > 40
