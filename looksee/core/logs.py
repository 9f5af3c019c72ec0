"""What a line of the log looks like, in every process: text for a person at a terminal, JSON for a collector.

Either way a line that concerns one request carries its id, which travels with the call to the runner.
"""

from __future__ import annotations

import json
import logging
from contextvars import ContextVar
from datetime import UTC, datetime
from typing import Any, Literal

REQUEST_ID: ContextVar[str] = ContextVar("request_id", default="")

Format = Literal["text", "json"]


class Fields(dict[str, Any]):
    """A message that is members of the line's JSON object; as text it is `text`."""

    def __init__(self, text: str, **fields: Any) -> None:
        super().__init__(fields)
        self.text = text

    def __str__(self) -> str:
        return self.text


class JsonFormatter(logging.Formatter):
    """One JSON object a line."""

    def format(self, record: logging.LogRecord) -> str:
        line: dict[str, Any] = {
            "time": datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds"),
            "level": record.levelname.lower(),
            "logger": record.name,
            "process": getattr(record, "component", "").strip("[]"),
        }
        if request_id := REQUEST_ID.get():
            line["request_id"] = request_id
        line |= record.msg if isinstance(record.msg, Fields) else {"message": record.getMessage()}
        if record.exc_info:
            line["traceback"] = self.formatException(record.exc_info)
        return json.dumps(line, default=str)


class TextFormatter(logging.Formatter):
    """BentoML's line, with the request's id at its end."""

    def __init__(self) -> None:
        form = "%(asctime)s [%(levelname)s] %(component)s %(message)s"
        super().__init__(form, "%Y-%m-%dT%H:%M:%S%z", defaults={"component": "[]"})

    def formatMessage(self, record: logging.LogRecord) -> str:
        request_id = REQUEST_ID.get()
        return super().formatMessage(record) + (f" [{request_id}]" if request_id else "")


def configure(form: Format) -> None:
    """Give this process's lines their form. Call it where the process begins to serve: BentoML has set up its own by
    then, a handler at the root for all loggers, and begins at WARNING.
    """
    logging.getLogger("looksee").setLevel(logging.INFO)
    for handler in logging.getLogger().handlers:
        handler.setFormatter(JsonFormatter() if form == "json" else TextFormatter())
