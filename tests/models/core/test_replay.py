"""Steps that are traced once and replayed say what steps say that are run anew each time.

This stands in for captured graphs where there is no card: of a replayed trace no Python runs any more, so whatever it
took from the rows of its first run would show. It is bound to the buffers that it was traced over, like a graph.
"""

from __future__ import annotations

import pytest
from torch.fx.experimental.proxy_tensor import make_fx

from looksee.models.core.graphs import NoGraphs, Run
from tests.models.core.cases import NAMES, SEEDS, mixed


class Traced(NoGraphs):
    """Traces each step when it is captured; only the trace is run afterwards."""

    def __init__(self) -> None:
        self.traced = self.replayed = 0

    def capture(self, run: Run) -> Run:
        graph = make_fx(run)()
        self.traced += 1

        def replay() -> None:
            self.replayed += 1
            graph()

        return replay


@pytest.mark.parametrize("name", NAMES)
def test_replayed_steps_say_what_eager_ones_say(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Each of these makes it fail: positions, a length or a mask that Python works out in the step; an output that is
    no buffer; storage that is reallocated and the trace kept.
    """
    case, traced = mixed(name), Traced()
    assert case.wrong(*SEEDS, most=4) == 0, "eager"
    runner = case.use(monkeypatch, traced)
    assert case.wrong(*SEEDS, most=4) == 0
    assert runner._graphs is traced, "a step that cannot be traced would be run as it is"
    assert traced.traced >= 3, "buckets of 1, 2 and 4 rows"
    assert traced.replayed > 3 * traced.traced
