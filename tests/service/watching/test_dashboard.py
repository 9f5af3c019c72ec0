"""The dashboard's queries: each finds something in a running service, or at least names what there is."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator

import pytest
from prometheus_client import REGISTRY

from tests.service.watching import prometheus
from tests.service.watching.prometheus import WATCH, Prometheus, scraping, until
from tests.support.pictures import scene
from tests.support.serving import CLIENT_KEY, Service
from tools.documents import tables

_NAME = re.compile(r"\b(looksee_[a-z_]+?)(?:_bucket|_sum|_count)?(?=[\s{\[)]|$)")
_BY = re.compile(r"\bby \(([^)]*)\)")
_MATCHED = re.compile(r"(\w+)(?:=~|!~|!=|=)\"")
_OF_ACCELERATORS = re.compile(r"looksee_device_")  # this machine has none


def _queries() -> Iterator[str]:
    dashboard = json.loads((WATCH / "grafana/dashboards/looksee.json").read_text())
    for panel in dashboard["panels"]:
        yield from (target["expr"] for target in panel.get("targets", ()))


QUERIES = sorted(set(_queries()))


def asked(query: str) -> str:
    """The query as Grafana asks it, of all models."""
    return query.replace("$__rate_interval", "1m").replace("$model", ".*")


def ask(service: Service, *seeds: str) -> None:
    files = [("images", ("a.png", scene(f"dashboard {seed}")[0])) for seed in seeds]
    headers = {"X-API-Key": CLIENT_KEY}
    answer = service.client.post("/api/caption-images", params={"model": "blip"}, files=files, headers=headers)
    assert answer.status_code == 200, answer.text


def declared() -> dict[str, set[str]]:
    """The labels of each metric by its name."""
    assert tables.metrics()  # importing it has made them all
    known = {name: one for name, one in REGISTRY._names_to_collectors.items() if name.startswith("looksee_")}
    return {name: set(getattr(one, "_labelnames", ())) for name, one in known.items()} | {"looksee_redis_up": set()}


def test_queries_name_metrics_and_labels_that_there_are(keyed: Service) -> None:
    ask(keyed, "1")  # nothing is looked up in the cache before it is known whose answers these are
    ask(keyed, "1", "2")
    known, shown = declared(), keyed.client.get("/metrics").text
    assert len(QUERIES) > 25
    for query in QUERIES:
        names = set(_NAME.findall(query))
        assert names, query
        labels = {one.strip() for group in _BY.findall(query) for one in group.split(",")} | set(
            _MATCHED.findall(query)
        )
        for name in names:
            assert labels - {"le"} <= known[name], query
            untold = _OF_ACCELERATORS.match(name) or "or vector(0)" in query
            assert untold or f"\n{name}" in shown, query


@pytest.mark.skipif(prometheus.PROGRAM is None, reason="no Prometheus is installed")
def test_each_query_has_an_answer_from_prometheus(keyed: Service) -> None:
    ask(keyed, "3")
    with scraping(keyed) as running:
        ask(keyed, "3", "4", "5")  # between two scrapes: rates are of what was counted in between
        missing = [one for one in QUERIES if not _OF_ACCELERATORS.search(one)]

        def none_is_missing() -> bool:
            missing[:] = [one for one in missing if not running.has_numbers(asked(one))]
            return not missing

        until(none_is_missing, lambda: missing)
        for query in QUERIES:
            running.ask(asked(query))  # none is refused
        _rules_work(running)


def _rules_work(running: Prometheus) -> None:
    groups = running.client.get("/api/v1/rules").json()["data"]["groups"]
    rules = [rule for group in groups for rule in group["rules"]]
    assert len(rules) > 15
    assert {rule["health"] for rule in rules} == {"ok"}
    recorded = ["model:looksee_requests:rate5m", "model:looksee_time_to_first_token_seconds:p95_rate5m"]
    until(lambda: all(map(running.has_numbers, recorded)), lambda: recorded)  # they are computed now and then
