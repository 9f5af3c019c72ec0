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
from tools.fuzz.damage import damaged
from tools.fuzz.judge import BadOutcome, check, judged, silence

COUNT = 5000


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
    gc.collect()
    grown = (me.memory_info().rss - middle) / 2**20
    held = sum(issubclass(type(one), Image.Image) for one in gc.get_objects())
    for name, data in ({} if options.numbers else bombs()).items():
        try:
            with silence():
                outcomes[judged(data).code or "a picture"] += 1
        except BadOutcome as bad:
            failed.append(f"{name}: {bad}")
    print("\n".join(f"{count:6} {name}" for name, count in outcomes.most_common()))
    print(f"slowest: {slowest:.2f} s ({where}); memory: {grown:+.1f} MiB in the second half; pictures held: {held}")
    print("\n".join(f"FAILED {line}" for line in failed), file=sys.stderr)
    return 1 if failed else 0


if __name__ == "__main__":
    raise SystemExit(main())
