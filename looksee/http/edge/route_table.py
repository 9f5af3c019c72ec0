"""What the edge has to know of the routes behind it, which it does not import: the app hands it in."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from looksee.core import errors
from looksee.http.request_info import ErrorShape

METRICS = "/metrics"
_ADMIN = "/api/admin/"  # its routes ask for API_KEY themselves
_LEFT_OUT = "{id}"
_READING = ("GET", "HEAD", "OPTIONS")
_CONTROL = re.compile(r"[\x00-\x1f\x7f-\x9f\u2028\u2029]")
_SLASHES = re.compile("/{2,}")


def _not_found(path: str) -> errors.LookseeError:
    return errors.NotFound("There is nothing at this address.")


@dataclass(frozen=True)
class RouteTable:
    """Paths by what the edge does with them.

    `open_paths` need no key. `form_paths` take files in a form and never parse JSON. `default_models` has the model
    that a request names by the query parameter `model`, where it names none. `error_shapes` has the paths whose clients
    do not read the usual error. Below `private_paths` the last part of a path is the caller's secret. `unknown` makes
    the error for a path without a route.
    """

    open_paths: frozenset[str] = frozenset()
    form_paths: frozenset[str] = frozenset()
    default_models: Mapping[str, str] = field(default_factory=dict)
    error_shapes: Mapping[str, ErrorShape] = field(default_factory=dict)
    private_paths: frozenset[str] = frozenset()
    unknown: Callable[[str], errors.LookseeError] = _not_found

    def needs_client_key(self, path: str) -> bool:
        """Whether a request needs a client's key, where any are set: whatever is not excepted here does, so that a new
        route cannot be forgotten.
        """
        return path not in self.open_paths and not path.startswith(_ADMIN) and path != METRICS

    def error_shape(self, path: str) -> ErrorShape:
        """How an error at this path is written; one that is a text is so below its path too."""
        above = self.error_shapes.get(path.rpartition("/")[0])
        return self.error_shapes.get(path, "text" if above == "text" else "object")

    def apart(self, path: str) -> tuple[str, str]:
        """The path as logs and metrics may have it, which keep every path, and the part that is left out of it."""
        above, _, last = path.rpartition("/")
        return (f"{above}/{_LEFT_OUT}", last) if above in self.private_paths else (path, "")

    def acts(self, method: str, path: str) -> bool:
        """Whether a request does more than read what is there: such a one is not taken from any page."""
        return method not in _READING or path.startswith(_ADMIN)


def normalized(path: str) -> str:
    """The path with single slashes, and none at its end: clients append theirs to an address that may end with one.

    Control characters become U+FFFD, which no route has: in Starlette's patterns a path may have a line's end behind
    it, and would reach a route that is another path here. In the log a line's end would begin a line.
    """
    if not path.isprintable():
        path = _CONTROL.sub("\ufffd", path)
    return (_SLASHES.sub("/", path) if "//" in path else path).rstrip("/") or "/"
