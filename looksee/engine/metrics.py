"""The engine's events as Prometheus metrics. A gateway's /metrics shows those of all runners on its machine."""

from __future__ import annotations

import bisect
import contextlib
import os
import time
from collections.abc import Callable, Mapping
from pathlib import Path

from prometheus_client import Counter, Gauge, Histogram
from prometheus_client.multiprocess import mark_process_dead

from looksee.engine.observer import EngineObserver

_SECONDS = (0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1, 2, 5, 10, 30, 60)
_SECONDS_BETWEEN = 1.0  # two measurements of a device's memory
_TOKEN_SECONDS = (0.001, 0.002, 0.005, 0.01, 0.02, 0.03, 0.05, 0.075, 0.1, 0.2, 0.5, 1, 2, 5)
_TOKENS = (1, 2, 5, 10, 20, 50, 100, 200, 500, 1000, 2000, 5000, 10000)
_ROWS = (1, 2, 4, 8, 12, 16, 24, 32, 48, 64, 128)

_WAITING = Gauge("looksee_rows_waiting", "Rows admitted but not running", ["model"], multiprocess_mode="livesum")
_RUNNING = Gauge("looksee_rows_running", "Rows in the running batch", ["model"], multiprocess_mode="livesum")
_QUEUE_SECONDS = Histogram(
    "looksee_queue_seconds", "Seconds that a prepared row waited for its prefill", ["model"], buckets=_SECONDS
)
_PREFILL_ROWS = Histogram("looksee_prefill_rows", "Rows in a prefill", ["model"], buckets=_ROWS)
_BATCH_ROWS = Histogram(
    "looksee_batch_rows", "Rows in a decode step; the count is that of the steps", ["model"], buckets=_ROWS
)
_FIRST_TOKEN = Histogram(
    "looksee_time_to_first_token_seconds", "Seconds from submission to the first token", ["model"], buckets=_SECONDS
)
_INTER_TOKEN = Histogram(
    "looksee_inter_token_seconds",
    "Seconds between a row's token and its next one; the count is that of tokens after the first",
    ["model"],
    buckets=_TOKEN_SECONDS,
)
_PREFILL_SECONDS = Histogram(
    "looksee_prefill_seconds", "Seconds from a row's turn to its first token", ["model"], buckets=_SECONDS
)
_DECODE_SECONDS = Histogram(
    "looksee_decode_seconds", "Seconds from a row's first token to its answer", ["model"], buckets=_SECONDS
)
_DROPPED = Counter("looksee_rows_dropped_total", "Rows that ended without an answer", ["model", "reason"])
_OUT_OF_MEMORY = Counter("looksee_out_of_memory_total", "Times that memory ran out under a batch", ["model"])
_PICTURES = Counter(
    "looksee_pictures_total", "Pictures that were encoded, or whose kept encoding was reused", ["model", "result"]
)
_PREFIXES = Counter(
    "looksee_prefixes_total",
    "Rows with pictures whose prompt began with kept keys and values, or whose beginning was computed",
    ["model", "result"],
)
_PROMPT_TOKENS = Counter(
    "looksee_prompt_tokens_total", "Tokens of the prompts that were answered, those of pictures included", ["model"]
)
_NEW_TOKENS = Counter("looksee_new_tokens_total", "Tokens of the answers", ["model"])
_ROW_PROMPT_TOKENS = Histogram(
    "looksee_row_prompt_tokens",
    "Tokens of an answered row's prompt, those of its pictures included",
    ["model"],
    buckets=_TOKENS,
)
_ROW_NEW_TOKENS = Histogram("looksee_row_new_tokens", "Tokens of a row's answer", ["model"], buckets=_TOKENS)
_BUDGET = Gauge(
    "looksee_batch_budget_bytes",
    "Bytes that a running batch may hold; less than its limit for some minutes after memory ran out",
    ["model"],
    multiprocess_mode="livesum",
)
_DEVICE_MEMORY = Gauge(
    "looksee_device_memory_bytes",
    "Bytes that torch has allocated on accelerators for a model, at most a second old while it is at work",
    ["model"],
    multiprocess_mode="livesum",
)
LOAD_SECONDS = Histogram(
    "looksee_model_load_seconds", "Seconds that loading the weights took", ["model"], buckets=_SECONDS
)


class MetricsObserver(EngineObserver):
    """Writes one model's figures. Its methods are called on the engine's threads."""

    def __init__(
        self,
        model: str,
        reuse: Callable[[], Mapping[str, tuple[int, int]]],
        device_bytes: Callable[[], int | None] = lambda: None,
        measure: Callable[[], None] = lambda: None,
    ) -> None:
        """`reuse` is `Model.reuse`: how many encodings were reused and computed so far. `device_bytes`: what is
        allocated on accelerators, None without one. `measure` is called once a second while the model is at work.
        """
        self._waiting, self._running = _WAITING.labels(model), _RUNNING.labels(model)
        self._queue_seconds, self._first_token = _QUEUE_SECONDS.labels(model), _FIRST_TOKEN.labels(model)
        self._prefill_rows, self._batch_rows = _PREFILL_ROWS.labels(model), _BATCH_ROWS.labels(model)
        self._kept = {
            "pictures": (_PICTURES.labels(model, "reused"), _PICTURES.labels(model, "encoded")),
            "prefixes": (_PREFIXES.labels(model, "reused"), _PREFIXES.labels(model, "computed")),
        }
        self._reuse = reuse
        self._counted: dict[str, tuple[int, int]] = {}
        self._model = model
        self._prompt_tokens, self._new_tokens = _PROMPT_TOKENS.labels(model), _NEW_TOKENS.labels(model)
        self._row_tokens = _ROW_PROMPT_TOKENS.labels(model), _ROW_NEW_TOKENS.labels(model)
        self._inter_token = _INTER_TOKEN.labels(model)
        self._row_seconds = _PREFILL_SECONDS.labels(model), _DECODE_SECONDS.labels(model)
        self._device_bytes, self._measure, self._measured = device_bytes, measure, 0.0

    def begin(self) -> None:
        """Count from now on: what the model has encoded before this was for nobody."""
        self._counted = dict(self._reuse())

    def waiting_rows(self, count: int) -> None:
        self._waiting.set(count)

    def running_rows(self, count: int) -> None:
        self._running.set(count)
        if (now := time.monotonic()) > self._measured + _SECONDS_BETWEEN:
            self._measured = now
            self._measure()
            if (held := self._device_bytes()) is not None:
                _DEVICE_MEMORY.labels(self._model).set(held)
        for name, counts in self._reuse().items():
            before = self._counted.get(name, (0, 0))
            if counts != before:
                for counter, now, then in zip(self._kept[name], counts, before, strict=True):
                    counter.inc(now - then)
                self._counted[name] = counts

    def row_admitted(self, queue_seconds: float) -> None:
        self._queue_seconds.observe(queue_seconds)

    def rows_prefilled(self, rows: int) -> None:
        self._prefill_rows.observe(rows)

    def step_finished(self, rows: int) -> None:
        self._batch_rows.observe(rows)

    def first_token(self, seconds: float) -> None:
        self._first_token.observe(seconds)

    def row_answered(self, prompt_tokens: int, new_tokens: int) -> None:
        self._prompt_tokens.inc(prompt_tokens)
        self._new_tokens.inc(new_tokens)
        for histogram, tokens in zip(self._row_tokens, (prompt_tokens, new_tokens), strict=True):
            histogram.observe(tokens)

    def row_timed(self, prefill_seconds: float, decode_seconds: float) -> None:
        for histogram, seconds in zip(self._row_seconds, (prefill_seconds, decode_seconds), strict=True):
            histogram.observe(seconds)

    def further_tokens(self, rows: int, seconds: float) -> None:
        _observe(self._inter_token, seconds, times=rows)

    def budget_changed(self, nbytes: int) -> None:
        _BUDGET.labels(self._model).set(nbytes)

    def released(self) -> None:
        """The model's weights are released: nothing waits, runs or is held."""
        self.waiting_rows(0)
        self.running_rows(0)
        self.budget_changed(0)
        _DEVICE_MEMORY.labels(self._model).set(0)

    def row_dropped(self, reason: str) -> None:
        _DROPPED.labels(self._model, reason).inc()

    def out_of_memory(self) -> None:
        _OUT_OF_MEMORY.labels(self._model).inc()


def _observe(histogram: Histogram, value: float, *, times: int) -> None:
    """Observe one value several times, at the cost of once: a step gives each row of a large batch a token.

    prometheus_client has no such call; these are the counters of its version 0.26, which is pinned.
    """
    bucket = bisect.bisect_left(histogram._upper_bounds, value)
    histogram._sum.inc(value * times)
    histogram._buckets[bucket].inc(times)


def drop_dead_processes() -> None:
    """Remove the gauges of killed processes from /metrics.

    The rows of a killed runner do not run any more, and a Redis that a killed gateway could not reach may be up again.
    """
    directory = os.environ.get("PROMETHEUS_MULTIPROC_DIR")
    if not directory:
        return
    for pid in {file.stem.rpartition("_")[2] for file in Path(directory).glob("gauge_live*_*.db")}:
        try:
            os.kill(int(pid), 0)
        except ProcessLookupError:
            with contextlib.suppress(FileNotFoundError):  # another starting process was faster
                mark_process_dead(int(pid), directory)  # type: ignore[no-untyped-call]
        except (ValueError, PermissionError):  # not one of our processes
            continue
