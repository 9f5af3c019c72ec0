"""Half a minute of `make soak` with two models: every answer belongs to its picture while parts of the service fail."""

from __future__ import annotations

import asyncio

from tools.soak import run
from tools.soak.dialects import DIALECTS
from tools.soak.questions import CHAT, TOGETHER
from tools.soak.run import Plan

OF_CHATS = {CHAT, TOGETHER}  # which these two models do not have
PLAN = Plan(seconds=34, models=("moondream", "blip"), scenes=8, gap=3, victim="blip")
# Each of the five, once at least; a busy machine may not come to the second round.
FAULTS = {"kill runner", "kill redis", "stop runner", "stop redis", "stop gateway"}


def test_no_answer_is_another_pictures() -> None:
    phase = asyncio.run(run.phase(PLAN, quiet=True))
    # So short a run says little of memory: what is full and what is not yet is `make soak`'s to tell apart.
    assert not [failure for failure in phase.failures if not failure.startswith(("rss", "pss"))]
    assert phase.questions > 4 * phase.erred
    tally = phase.tally
    assert tally.right.keys() >= {one.name for one in DIALECTS if one.kinds - OF_CHATS and "flag" not in one.name}
    assert tally.cached
    assert tally.left
    assert phase.faults.keys() >= FAULTS
