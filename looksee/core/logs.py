"""The format of the log in every process: text for a terminal, JSON for a log collector.

In both, a line that concerns one request has its id, which is passed on to the runner with the call.
"""

from __future__ import annotations

import json
import logging
import sys
import threading
from contextvars import ContextVar
from datetime import UTC, datetime
from types import TracebackType
from typing import Any, Literal

REQUEST_ID: ContextVar[str] = ContextVar("request_id", default="")
TRACE_ID: ContextVar[str] = ContextVar("trace_id", default="")  # of the trace that a request is part of, in hex

_SERVICE = "--service-name"  # among the arguments of the processes that BentoML starts

Format = Literal["text", "json"]


class Fields(dict[str, Any]):
    """A log message whose fields become members of the line's JSON object; in a text log it is `text`."""

    def __init__(self, text: str, **fields: Any) -> None:
        super().__init__(fields)
        self.text = text

    def __str__(self) -> str:
        return self.text


class JsonFormatter(logging.Formatter):
    """Each record as one line with one JSON object."""

    def format(self, record: logging.LogRecord) -> str:
        line: dict[str, Any] = {
            "time": datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds"),
            "level": record.levelname.lower(),
            "logger": record.name,
            "process": _process(getattr(record, "component", "").strip("[]")),
        }
        if request_id := REQUEST_ID.get():
            line["request_id"] = request_id
        if trace_id := TRACE_ID.get():
            line["trace_id"] = trace_id
        line |= record.msg if isinstance(record.msg, Fields) else {"message": record.getMessage()}
        if record.exc_info:
            line["traceback"] = self.formatException(record.exc_info)
        return json.dumps(line, default=str)


def _process(component: str) -> str:
    """BentoML's name of this process. Until it has one, it writes only a worker's number: `:1`."""
    if component.startswith(":") and _SERVICE in sys.argv[:-1]:
        return f"service:{sys.argv[sys.argv.index(_SERVICE) + 1]}{component}"
    return component


class TextFormatter(logging.Formatter):
    """BentoML's own text format, with the request's id at the end of the line.

    A message is one line, and the lines of a traceback are indented: what either quotes of a request cannot begin a
    line of its own, and cannot steer a terminal.
    """

    def __init__(self) -> None:
        form = "%(asctime)s [%(levelname)s] %(component)s %(message)s"
        super().__init__(form, "%Y-%m-%dT%H:%M:%S%z", defaults={"component": "[]"})

    def formatMessage(self, record: logging.LogRecord) -> str:
        request_id = REQUEST_ID.get()
        return _plain(super().formatMessage(record)) + (f" [{request_id}]" if request_id else "")

    def formatException(self, ei: Any) -> str:
        return "\n".join(f"  {_plain(line)}" for line in super().formatException(ei).split("\n"))


def _plain(text: str) -> str:
    """A text in which control characters, and those that end a line or turn its direction, are written out."""
    if text.isprintable():
        return text
    return "".join(one if one.isprintable() else one.encode("unicode_escape").decode() for one in text)


def configure(form: Format) -> None:
    """Set this process's log format, and the level INFO for the loggers under `looksee`.

    Call it when BentoML has installed its handlers: it has one at the root logger, at WARNING, and one at its own
    logger until it serves. With JSON, what is written past the log otherwise becomes lines of it too: warnings, and the
    traceback of an exception that ends the process or a thread.
    """
    logging.getLogger("looksee").setLevel(logging.INFO)
    handlers = [*logging.getLogger().handlers, *logging.getLogger("bentoml").handlers]
    for handler in handlers:
        handler.setFormatter(JsonFormatter() if form == "json" else TextFormatter())
    if form == "json" and handlers:
        logging.captureWarnings(True)
        sys.excepthook = _log_exception
        threading.excepthook = _log_exception_of_thread


def _log_exception(
    kind: type[BaseException], error: BaseException, traceback: TracebackType | None, where: str = "the process"
) -> None:
    if issubclass(kind, KeyboardInterrupt):
        sys.__excepthook__(kind, error, traceback)
        return
    logging.getLogger("looksee").critical("%s ended by an exception", where, exc_info=(kind, error, traceback))


def _log_exception_of_thread(ending: threading.ExceptHookArgs) -> None:
    if ending.exc_value is not None:
        name = ending.thread.name if ending.thread else "?"
        _log_exception(ending.exc_type, ending.exc_value, ending.exc_traceback, f"the thread {name}")
