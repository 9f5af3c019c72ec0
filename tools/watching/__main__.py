"""Draw docs/dashboard.svg of the last minutes of a Prometheus that scrapes a service.

python -m tools.watching http://127.0.0.1:9090 --seconds 120 --caption "..."
"""

from __future__ import annotations

import argparse
import json
import time
import urllib.parse
import urllib.request
from collections.abc import Mapping, Sequence
from pathlib import Path

from tools.watching.picture import dashboard_picture

ROOT = Path(__file__).parents[2]
_POINTS = 120


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("prometheus")
    parser.add_argument("--seconds", type=float, default=120)
    parser.add_argument("--window", default="15s", help="what rates are of; four scrapes at least")
    parser.add_argument("--caption", default="")
    options = parser.parse_args()
    end = time.time()
    start = end - options.seconds

    def ask(query: str) -> Sequence[tuple[Mapping[str, str], Sequence[tuple[float, float]]]]:
        expression = query.replace("$__rate_interval", options.window).replace("$model", ".*")
        asked = {"query": expression, "start": start, "end": end, "step": options.seconds / _POINTS}
        with urllib.request.urlopen(
            f"{options.prometheus}/api/v1/query_range?{urllib.parse.urlencode(asked)}"
        ) as answer:
            series = json.load(answer)["data"]["result"]
        return [(one["metric"], [(at, float(value)) for at, value in one["values"]]) for one in series]

    dashboard = json.loads((ROOT / "deploy/watch/grafana/dashboards/looksee.json").read_text())
    drawn = dashboard_picture(dashboard, ask, start=start, end=end, caption=options.caption)
    (ROOT / "docs/dashboard.svg").write_text(drawn)


if __name__ == "__main__":
    main()
