"""Put what a run of the fault suite measured into `faults.json`.

FAULTS_FOLDER=FOLDER pytest tests/faults; python -m tools.reliability FOLDER        # or: make reliability
"""

from __future__ import annotations

import json
import sys
from datetime import UTC, datetime
from pathlib import Path

from bench import machine
from tools.reliability.tables import RECORDED


def main() -> None:
    rows = [json.loads(file.read_text()) for file in sorted(Path(sys.argv[1]).glob("*.json"))]
    if not rows:
        raise SystemExit("nothing was measured")
    known = {row["name"]: row for row in json.loads(RECORDED.read_text())["faults"]} if RECORDED.exists() else {}
    known |= {row["name"]: row for row in rows}
    found = {
        "date": datetime.now(UTC).date().isoformat(),
        "machine": machine.described(1),
        "faults": [known[name] for name in sorted(known, key=str.lower)],
    }
    RECORDED.write_text(json.dumps(found, indent=1) + "\n")
    print(f"{len(rows)} faults measured, {len(known)} recorded in {RECORDED}")


if __name__ == "__main__":
    main()
