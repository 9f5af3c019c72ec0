"""Rules, alerts and the configuration of Prometheus, as promtool has them."""

from __future__ import annotations

import re
import shutil
import subprocess

import pytest
import yaml

from looksee.core import errors
from tests.support.serving import ROOT

WATCH = ROOT / "deploy/watch"
PROMTOOL = shutil.which("promtool")
needs_promtool = pytest.mark.skipif(PROMTOOL is None, reason="promtool is not installed (Debian's package prometheus)")
# Errors of the service as a whole, which no question to a model ends with.
_OF_NO_MODEL = {"not_offered", "service_stopping", "cache_unavailable"}


def promtool(*words: str, input: bytes = b"") -> str:
    assert PROMTOOL is not None
    ran = subprocess.run([PROMTOOL, *words], cwd=ROOT, input=input, capture_output=True)
    assert ran.returncode == 0, ran.stdout.decode() + ran.stderr.decode()
    return ran.stdout.decode() + ran.stderr.decode()


@needs_promtool
def test_the_rules_do_what_their_tests_say() -> None:
    assert "SUCCESS" in promtool("test", "rules", "deploy/watch/tests/rules.yml")


@needs_promtool
def test_prometheus_takes_its_configuration() -> None:
    assert "SUCCESS" in promtool("check", "config", "deploy/watch/prometheus.yml")


def rules() -> list[dict[str, str]]:
    groups = yaml.safe_load((WATCH / "rules.yml").read_text())["groups"]
    return [rule for group in groups for rule in group["rules"]]


def test_each_alert_has_a_test() -> None:
    tested = (WATCH / "tests/rules.yml").read_text()
    fires = set(re.findall(r"alertname: (\w+)\n\s+exp_alerts:\n", tested))
    assert fires == {rule["alert"] for rule in rules() if "alert" in rule}


def test_failures_are_all_errors_that_callers_are_not_to_blame_for() -> None:
    (rule,) = (one for one in rules() if one.get("record") == "model:looksee_request_failures:ratio_rate5m")
    found = re.search(r'reason=~"([^"]*)"', rule["expr"])
    assert found is not None
    blamed = {code for code, error in errors.BY_CODE.items() if error.status >= 500} - _OF_NO_MODEL
    assert set(found[1].split("|")) == blamed
