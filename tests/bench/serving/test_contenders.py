"""Every contender starts, answers a load, and says what came of it."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from bench.pictures import Drawing
from bench.serving import contenders
from bench.serving.contenders import Conditions, Measure
from bench.serving.names import LITSERVE, LOOKSEE, SERVERS
from tests.support.serving import Service

DRAWING = Drawing(77, 6)
MODEL = "moondream"  # the one that is loaded soonest: it needs no library of models


@pytest.fixture(scope="module")
def started(everything: Service) -> Iterator[dict[str, Measure]]:
    with contenders.all_of(MODEL, everything.url, Conditions(threads=1, rows=4, batch_timeout=0.01)) as found:
        yield found


@pytest.mark.parametrize("name", SERVERS)
def test_it_captions_every_picture(name: str, started: dict[str, Measure], everything: Service) -> None:
    if name in contenders.absent():
        pytest.skip(contenders.absent()[name])
    before = contenders.mean_rows(everything.url, MODEL)
    load = started[name](DRAWING, 2)
    assert (load.items, load.errors, load.right, load.concurrency) == (6, 0, 6, 2)
    assert 0 < load.p50 <= load.p95 <= load.p99
    assert load.rate > 0
    steps = contenders.mean_rows(everything.url, MODEL)[1] - before[1]
    assert (steps > 0) == (name == LOOKSEE), "and nobody else is the service"


def test_who_cannot_run_is_left_out_with_a_reason(started: dict[str, Measure]) -> None:
    assert set(started) == set(SERVERS) - set(contenders.absent())
    assert set(contenders.absent()) <= {LITSERVE}
