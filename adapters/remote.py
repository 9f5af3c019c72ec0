"""A running Looksee as the adapters ask it: about many pictures at once, with errors that say what to do."""

from __future__ import annotations

import base64
import io
import os
import threading
import time
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import Any, TypeVar

import httpx
from PIL.Image import Image

Item = TypeVar("Item")
Found = TypeVar("Found")

QUESTION = "Is there a {name}? Answer yes or no."  # where the program's user gives none
_BUSY = (429, 503)
_TRIES = 5  # of a request that the service has no room for
_LONGEST_WAIT = 30.0  # seconds between two of them
_CONNECT_SECONDS = 10.0
_KEY_REFUSED = (401, 403)


class RemoteError(RuntimeError):
    """What went wrong between an adapter and the service, in a sentence; `code` is the service's own name of it."""

    def __init__(self, message: str, code: str = "") -> None:
        super().__init__(message)
        self.code = code


@dataclass(frozen=True, slots=True)
class RemoteBox:
    """A box around a thing: parts of the picture's width and height, 0 to 1 from the top left.

    `confidence` is 0 to 1, or None where the service tells none.
    """

    x_min: float
    y_min: float
    x_max: float
    y_max: float
    confidence: float | None = None

    @property
    def width(self) -> float:
        return self.x_max - self.x_min

    @property
    def height(self) -> float:
        return self.y_max - self.y_min


@dataclass(frozen=True, slots=True)
class RemotePoint:
    """A point on a thing, in the same parts."""

    x: float
    y: float
    confidence: float | None = None


def encoded(picture: Image | bytes) -> str:
    """A data URI of a picture: of a file's bytes as they are, or of a PIL image as PNG."""
    if isinstance(picture, bytes):
        return "data:application/octet-stream;base64," + base64.b64encode(picture).decode()
    file = io.BytesIO()
    plain = picture if picture.mode in ("1", "L", "LA", "P", "RGB", "RGBA") else picture.convert("RGB")
    plain.save(file, "PNG", compress_level=1)
    return "data:image/png;base64," + base64.b64encode(file.getvalue()).decode()


@dataclass
class Remote:
    """The service at `url`, asked with `key` where it wants one, with `at_once` requests at a time.

    By default both are those of the `looksee` command: LOOKSEE_URL and LOOKSEE_KEY. `timeout` is of one answer, in
    seconds: a model may have to be loaded first. Pictures are data URIs, as `encoded` makes them. Every method raises
    RemoteError.
    """

    url: str = field(default_factory=lambda: os.environ.get("LOOKSEE_URL", "http://localhost:3000"))
    key: str = field(default_factory=lambda: os.environ.get("LOOKSEE_KEY", ""), repr=False)
    model: str = "moondream"
    at_once: int = 8
    timeout: float = 120.0
    _client: httpx.Client | None = field(default=None, init=False, repr=False, compare=False)
    _lock: threading.Lock = field(default_factory=threading.Lock, init=False, repr=False, compare=False)

    def caption(self, picture: str, length: str = "normal") -> str:
        """What the picture shows."""
        return str(self._asked("caption", image_url=picture, length=length)["caption"])

    def answer(self, picture: str, question: str) -> str:
        """The answer to a question about the picture."""
        return str(self._asked("query", image_url=picture, question=question)["answer"])

    def says_yes(self, picture: str, question: str) -> bool:
        """Whether the answer to a question about the picture is yes."""
        return self.answer(picture, question).strip(" .!").lower() == "yes"

    def boxes(self, picture: str, name: str) -> list[RemoteBox]:
        """A box around each thing of that name."""
        return [RemoteBox(**_known(one)) for one in self._asked("detect", image_url=picture, object=name)["objects"]]

    def points(self, picture: str, name: str) -> list[RemotePoint]:
        """A point on each thing of that name."""
        return [RemotePoint(**_known(one)) for one in self._asked("point", image_url=picture, object=name)["points"]]

    def for_each(self, items: Iterable[Item], ask: Callable[[Item], Found]) -> list[Found]:
        """`ask` of each item, several at a time, in their order. Raises what the first of them raised."""
        with ThreadPoolExecutor(max(1, self.at_once)) as pool:
            return list(pool.map(ask, items))

    def close(self) -> None:
        """Give the connections back. They are made again when something is asked."""
        with self._lock:
            client, self._client = self._client, None
        if client is not None:
            client.close()

    def __getstate__(self) -> dict[str, Any]:
        """Without what belongs to a process: some programs send their models to others."""
        return {name: value for name, value in vars(self).items() if name not in ("_client", "_lock")}

    def __setstate__(self, state: dict[str, Any]) -> None:
        vars(self).update(state, _client=None, _lock=threading.Lock())

    def _connected(self) -> httpx.Client:
        with self._lock:
            if self._client is None:
                headers = {"X-API-Key": self.key} if self.key else {}
                timeout = httpx.Timeout(self.timeout, connect=_CONNECT_SECONDS)
                self._client = httpx.Client(headers=headers, timeout=timeout)
            return self._client

    def _asked(self, skill: str, **body: Any) -> dict[str, Any]:
        for tried in range(1, _TRIES + 1):
            response = self._posted(f"{self.url.rstrip('/')}/v1/{skill}", {"model": self.model, **body})
            if response.status_code not in _BUSY or tried == _TRIES:
                break
            time.sleep(_wait(response))
        if response.status_code != 200:
            raise self._refusal(response)
        try:
            found: dict[str, Any] = response.json()
        except ValueError:
            raise RemoteError(f"{self.url} does not answer as a Looksee does.") from None
        return found

    def _posted(self, address: str, body: dict[str, Any]) -> httpx.Response:
        try:
            return self._connected().post(address, json=body)
        except (httpx.InvalidURL, httpx.UnsupportedProtocol):
            raise RemoteError(f"'{self.url}' is no address of a service, like http://localhost:3000.") from None
        except httpx.ConnectError:
            raise RemoteError(
                f"There is no Looksee at {self.url}. Start one with `make serve`, or name another: LOOKSEE_URL."
            ) from None
        except httpx.TimeoutException:
            raise RemoteError(f"Looksee at {self.url} did not answer within {self.timeout:.0f} s.") from None
        except httpx.HTTPError as error:
            raise RemoteError(f"Looksee at {self.url} broke off: {error}") from None

    def _refusal(self, response: httpx.Response) -> RemoteError:
        try:
            content = response.json()
            message, code = str(content["detail"]), str(content["error"]["code"])
        except (ValueError, KeyError, TypeError):
            return RemoteError(f"{self.url} answered with status {response.status_code}, not as a Looksee does.")
        if response.status_code in _KEY_REFUSED:
            message += " A client's key of the service belongs into LOOKSEE_KEY."
        return RemoteError(f"Looksee at {self.url}: {message}", code)


def split_names(names: str | Sequence[str]) -> tuple[str, ...]:
    """Names of things, from a list or a text with commas; each once. Raises ValueError where there is none."""
    parts = names.split(",") if isinstance(names, str) else names
    found = tuple(dict.fromkeys(name.strip() for name in parts if name.strip()))
    if not found:
        raise ValueError("Name what is to be found, like 'cat, red car'.")
    return found


def _known(one: dict[str, Any]) -> dict[str, Any]:
    """Of a thing that was found what an adapter knows: the service may come to tell more."""
    return {name: one[name] for name in ("x", "y", "x_min", "y_min", "x_max", "y_max", "confidence") if name in one}


def _wait(response: httpx.Response) -> float:
    """Seconds until the next try, as the service says."""
    said = response.headers.get("Retry-After", "")
    return min(float(said), _LONGEST_WAIT) if said.isdigit() else 1.0
