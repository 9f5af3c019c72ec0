"""What the service does when a device breaks, a step never ends, or a runner is stopped: its process is replaced.

With a toy model that can be told to break (`tests.support.sixth_model`, which is not imported here: this process has
the five models).
"""

from __future__ import annotations

import base64
import sys
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import httpx
import psutil
import pytest

from tests.faults.callers import Seen
from tests.faults.recording import Recorder
from tests.support import pictures
from tests.support.serving import EVERY, PATIENCE, Service, serve, without

NAME = "speller"
COMMAND = (sys.executable, "-m", "bentoml", "serve", "tests.support.sixth_model:Looksee", "--port", "{port}")


@pytest.fixture(scope="module")
def toy(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Service]:
    """A service with the toy alone, one row a batch, that waits 3 s for a step and 6 s for a process."""
    weights = tmp_path_factory.mktemp("weights")
    (weights / "config.json").write_text("{}")
    own = {"LOOKSEE_SPELLER_WEIGHTS": str(weights), "LOOKSEE_SPELLER_MAX_BATCH_ROWS": "1"}
    own |= {"LOOKSEE_STALL_SECONDS": "3", "LOOKSEE_SILENCE_SECONDS": "6"}
    with serve(*COMMAND, redis_url="", **without(*EVERY), **own) as running:
        yield running


def spelled(service: Service, *words: str) -> Seen:
    """What callers see who ask for a word each, at the same time."""
    seen = Seen()
    picture = base64.b64encode(pictures.scene(0)[0]).decode()

    def one(word: str) -> None:
        began = time.monotonic()
        body = {"image": picture, "model": NAME, "prompt": word}
        answer = httpx.post(f"{service.url}/caption", json=body, timeout=PATIENCE)
        seen.took(answer, time.monotonic() - began)
        if answer.status_code == 200:
            assert answer.json()["caption"] == word
        else:
            assert "its process is started again" in answer.json()["error"]["message"]

    with ThreadPoolExecutor(8) as pool:
        list(pool.map(one, words))
    return seen


def another(service: Service, before: psutil.Process) -> psutil.Process:
    """The runner's process that was started in the place of the one before."""
    end = time.monotonic() + PATIENCE
    while time.monotonic() < end:
        for process in service.processes("Speller"):
            if process != before:
                return process
        time.sleep(0.05)
    raise AssertionError(service.log.read_text())


@pytest.mark.parametrize(
    ("fault", "word", "said"),
    [
        ("a device-side assert in a batch", "break the device", "device-side assert triggered"),
        ("a step that never ends, 3 s allowed", "stand still", "step stood still for 3"),
    ],
)
def test_a_broken_device_and_a_step_that_never_ends_cost_their_calls_alone(
    toy: Service, fault: str, word: str, said: str, record: Recorder
) -> None:
    assert spelled(toy, "loaded").only_answers
    (runner,), (gateway,) = toy.processes("Speller"), toy.processes("Looksee")
    seen = spelled(toy, word, *(f"beside {word} {number}" for number in range(4)))
    told = time.monotonic()
    assert set(seen.ends) <= {"200", "502 runner_failed"}
    assert seen.ends["502 runner_failed"] >= 1
    assert another(toy, runner).pid != runner.pid
    assert spelled(toy, f"after {word}").only_answers
    record(fault, seen, again=time.monotonic() - told, wrong=[])
    assert toy.processes("Looksee") == [gateway]
    assert said in toy.log.read_text()


def test_a_process_that_is_stopped_is_replaced(toy: Service, record: Recorder) -> None:
    assert spelled(toy, "loaded").only_answers
    (runner,) = toy.processes("Speller")
    runner.suspend()
    stopped = time.monotonic()
    with ThreadPoolExecutor(1) as pool:
        asked = pool.submit(spelled, toy, "while it is stopped")
        assert toy.client.get("/health").json()["models"][NAME] == "unreachable"
        another(toy, runner)
        seen = asked.result()
    record("a runner stopped (SIGSTOP), 6 s allowed", seen, again=time.monotonic() - stopped, wrong=[])
    assert seen.only_answers
    assert "has not reacted for" in toy.log.read_text()
