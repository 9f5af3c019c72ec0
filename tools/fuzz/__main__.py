"""Put damaged pictures through the decoding.

    python -m tools.fuzz            # or: make fuzz
    python -m tools.fuzz 12 4711    # those alone

Ends with status 1 where one of them came to what none may. A crash of a library ends the process; the number of the
file that did it is in the last line.
"""

from __future__ import annotations

import argparse
import faulthandler
import gc
import sys
from collections import Counter

import psutil
from PIL import Image
from tqdm import tqdm

from tools.fuzz.bombs import bombs
from tools.fuzz.damage import BEHIND, CUT, Damaged, damaged
from tools.fuzz.judge import BadOutcome, Outcome, judged, silence

COUNT = 5000


def check(file: Damaged) -> Outcome:
    """What comes of a file. Raises BadOutcome."""
    with silence():
        outcome = judged(file.data)
    whole = file.rule in (CUT, BEHIND)
    if whole and not outcome.code and outcome.pixels != file.seed.pixels:
        raise BadOutcome("a part of the picture is missing, and it is told as whole")
    if file.rule == BEHIND and outcome.code:
        raise BadOutcome(f"bytes behind the picture spoil it: {outcome.code}")
    return outcome


def main() -> int:
    parser = argparse.ArgumentParser(description="Put damaged pictures through the decoding.")
    parser.add_argument("numbers", nargs="*", type=int, help="of single files; default: all")
    parser.add_argument("--count", type=int, default=COUNT)
    options = parser.parse_args()
    faulthandler.enable()
    files = [one for one in damaged(max([options.count, *(n + 1 for n in options.numbers)]))
             if not options.numbers or one.number in options.numbers]  # fmt: skip
    outcomes: Counter[str] = Counter()
    failed: list[str] = []
    slowest, where = 0.0, ""
    me = psutil.Process()
    middle = 0
    bar = tqdm(files, unit="file")
    for place, file in enumerate(bar):
        bar.set_postfix_str(str(file))
        try:
            outcome = check(file)
        except BadOutcome as bad:
            failed.append(f"{file}: {bad}")
            continue
        outcomes[outcome.code or "a picture"] += 1
        if outcome.seconds > slowest:
            slowest, where = outcome.seconds, str(file)
        if place == len(files) // 2:
            middle = me.memory_info().rss
    for name, data in ({} if options.numbers else bombs()).items():
        try:
            with silence():
                outcomes[judged(data).code or "a picture"] += 1
        except BadOutcome as bad:
            failed.append(f"{name}: {bad}")
    gc.collect()
    grown = (me.memory_info().rss - middle) / 2**20
    held = sum(isinstance(one, Image.Image) for one in gc.get_objects())
    print("\n".join(f"{count:6} {name}" for name, count in outcomes.most_common()))
    print(f"slowest: {slowest:.2f} s ({where}); memory: {grown:+.1f} MiB in the second half; pictures held: {held}")
    print("\n".join(f"FAILED {line}" for line in failed), file=sys.stderr)
    return 1 if failed else 0


if __name__ == "__main__":
    raise SystemExit(main())
