"""A model whose verbs are watched: one that never ends, and errors after which the device computes nothing any more."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, TypeVar

from looksee.core import errors
from looksee.core.tasks import Answer
from looksee.engine.broken_device import device_is_broken
from runners.guarding.watchdog import Watchdog

T = TypeVar("T")


class WatchedModel:
    """The interface of `looksee.models.interface.Model` around one; what is not of the device thread is passed on."""

    def __init__(self, model: Any, name: str, watchdog: Watchdog, on_broken: Callable[[str, Exception], None]) -> None:
        """`on_broken` gets a sentence and the error, once, in the device thread."""
        self._model, self._name = model, name
        self._watchdog, self._on_broken = watchdog, on_broken
        self._broken = False

    def __getattr__(self, name: str) -> Any:
        return getattr(self._model, name)

    def prefill(self, rows: Sequence[Any]) -> Any:
        return self._call("prefill", self._model.prefill, rows)

    def add_rows(self, running: Any, newcomers: Any) -> Any:
        return self._call("add_rows", self._model.add_rows, running, newcomers)

    def step(self, batch: Any) -> None:
        self._call("step", self._model.step, batch)

    def sample(self, batch: Any) -> None:
        self._call("sample", self._model.sample, batch)

    def keep_rows(self, batch: Any, keep: Sequence[int]) -> Any:
        return self._call("keep_rows", self._model.keep_rows, batch, keep)

    def release_memory(self) -> None:
        self._call("release_memory", self._model.release_memory)

    def partial(self, row: Any) -> str:
        with self._watchdog.watching("partial"):
            text: str = self._model.partial(row)
            return text

    def answer(self, row: Any) -> Answer:
        with self._watchdog.watching("answer"):
            answer: Answer = self._model.answer(row)
            return answer

    def _call(self, verb: str, method: Callable[..., T], *arguments: Any) -> T:
        """What a verb returns. Raises RunnerFailed, without a call, once the device is broken: nothing is retried."""
        if self._broken:
            raise broken(self._name)
        try:
            with self._watchdog.watching(verb):
                return method(*arguments)
        except Exception as error:
            if not device_is_broken(error):
                raise
            self._broken = True
            self._on_broken(f"the device is broken, as {verb} found", error)
        raise broken(self._name)


def broken(name: str) -> errors.LookseeError:
    """The error for all that a process is asked whose device is broken, or whose work stands still."""
    message = f"The device of '{name}' failed or stood still; its process is started again. Try again in some seconds."
    return errors.RunnerFailed(message, retry_after=10)
