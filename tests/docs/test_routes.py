"""The routes and metrics of the running service are on the pages, and no others."""

from __future__ import annotations

import re

from tests.support.serving import Service
from tools.documents import pages, tables

_PATH = re.compile(r"`(?:(?:GET|POST|PUT|DELETE) )?(/[^`?\s]*)")
_METRIC = re.compile(r"\blooksee_[a-z_]*[a-z]\b")
_DOCUMENTS = {"/", "/docs", "/redoc", "/openapi.json", "/metrics"}  # routes that are in no document


def test_every_route_is_on_the_page_of_the_api(service: Service) -> None:
    table = (pages.ROOT / "docs/api.md").read_text().partition("## Routes")[2].partition("\n\nEvery answer")[0]
    named = set(_PATH.findall(table))
    load = "/api/admin/models/{name}/load"
    named = {load.replace("/load", path) if path == "/unload" else path for path in named}
    named = {path.replace("{id}", "{name}") for path in named}
    described = {path.replace("{id}", "{name}") for path in service.client.get("/openapi.json").json()["paths"]}
    assert described | _DOCUMENTS == named


def test_every_metric_is_on_the_page_of_operations(service: Service) -> None:
    """Of those with labels a page of metrics shows only what was counted already."""
    service.client.get("/health")
    found = set(re.findall(r"^# HELP (looksee_\w+)", service.client.get("/metrics").text, re.MULTILINE))
    named = set(_METRIC.findall((pages.ROOT / "docs/operations.md").read_text()))
    assert "looksee_redis_up" in found
    assert found <= named == set(_METRIC.findall(tables.metrics()))
