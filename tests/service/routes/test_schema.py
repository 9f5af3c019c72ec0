"""schemathesis makes requests from the document, good ones and bad ones: nothing fails inside, and every answer is as
the document says.
"""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.support.serving import API_KEY, ROOT, Service

# A wrong body may also have too many values to be read at all.
CONFIGURATION = """
[checks.negative_data_rejection]
expected-statuses = [400, 401, 403, 404, 405, 406, 409, 413, 415, 422, 428, 429, "5xx"]

# A model that is not loaded is not ready.
[[operations]]
include-path = "/readyz"
checks = { not_a_server_error = { enabled = false } }
"""
EXAMPLES = 3  # random ones for each route, beside those for each of its values and their edges


@pytest.fixture(scope="module")
def service(everything: Service) -> Service:
    return everything


def test_every_answer_is_as_the_document_says(service: Service, tmp_path: Path) -> None:
    words = [str(Path(sys.executable).parent / "schemathesis"), "run", f"{service.url}/openapi.json"]
    words += ["--header", f"X-API-Key: {API_KEY}", "--request-timeout", "60", "--no-color", "--seed", "1"]
    words += ["--phases", "examples,coverage,fuzzing", "--max-examples", str(EXAMPLES)]
    words += ["--exclude-checks", "positive_data_acceptance", "--suppress-health-check", "all"]
    env = {**os.environ, "SCHEMATHESIS_HOOKS": "tests.service.routes.schema_hooks", "PYTHONPATH": str(ROOT)}
    (tmp_path / "schemathesis.toml").write_text(CONFIGURATION)
    done = subprocess.run(words, cwd=tmp_path, env=env, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout[-20_000:] + done.stderr[-2000:]
    assert "No issues found" in done.stdout or " 0 failed" in done.stdout or "passed" in done.stdout
    assert "Traceback" not in service.log.read_text()
