"""How long the first request takes after `/readyz`, beside those that follow it.

    python -m bench.first_request blip moondream
    python -m bench.first_request blip --not-preloaded

Starts the service with the sample weights, the models preloaded, and asks each for captions of pictures that nobody has
sent before, one after the other, all of one size and with captions of one length. The first request of the process goes
to the first model, so each model has a service of its own.
"""

from __future__ import annotations

import argparse
import http.client
import json
import random
import statistics
import time
from base64 import b64encode
from dataclasses import dataclass

from bench.machine import described
from bench.serving.processes import server
from looksee.models.registry import REGISTRY
from looksee.settings import settings
from samples.world import scenes

_REQUESTS = 10
_SIDE = 320  # pixels


@dataclass(frozen=True, slots=True)
class Firsts:
    """Seconds of one model's requests, in their order, and until the service was ready for them."""

    model: str
    ready: float
    seconds: tuple[float, ...]

    @property
    def row(self) -> str:
        """A line of the table."""
        first, *later = (1000 * one for one in self.seconds)
        usual = statistics.median(later)
        shown = f"{self.ready:.0f} | {first:.0f} | {later[-1]:.0f} | {usual:.0f}"
        return f"| {self.model} | {shown} | {first / later[-1]:.2f} | {first / usual:.2f} |"


HEAD = (
    "| model | ready after, s | first, ms | tenth, ms | median of the later, ms | first to tenth | first to median |\n"
    "|---|---|---|---|---|---|---|"
)


def pictures(count: int) -> list[str]:
    """Different scenes in base64, all of one size, with captions of as many words."""
    rng, found = random.Random("first requests"), dict[str, str]()
    while len(found) < count:
        scene = scenes.compose(rng, count=2, sides=(_SIDE, _SIDE))
        found[scene.caption()] = b64encode(scenes.encode(scenes.draw(scene, rng), rng, ("JPEG",))).decode()
    return list(found.values())[:count]


def measure(model: str, *, preloaded: bool = True) -> Firsts:
    """One service, started for it."""
    bodies = [json.dumps({"image": picture, "model": model}) for picture in pictures(_REQUESTS)]
    environment = {"LOOKSEE_PRELOAD": model if preloaded else "", "LOOKSEE_MODELS": model}
    began, seconds = time.perf_counter(), []
    with server(
        "deploy.local", "--host", "127.0.0.1", "--weights", "sample", path="/readyz", environment=environment
    ) as url:
        ready = time.perf_counter() - began
        connection = http.client.HTTPConnection(url.removeprefix("http://"), timeout=300)
        for body in bodies:
            started = time.perf_counter()
            connection.request("POST", "/caption", body, {"Content-Type": "application/json"})
            answer = connection.getresponse()
            text = answer.read()
            seconds.append(time.perf_counter() - started)
            if answer.status != http.client.OK:
                raise SystemExit(f"{model} answered {answer.status}: {text.decode()}")
    return Firsts(model, ready, tuple(seconds))


def main(arguments: list[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description="The first request after /readyz, beside the tenth.")
    parser.add_argument("models", nargs="*", default=[], help=f"default: all of {', '.join(REGISTRY)}")
    parser.add_argument("--not-preloaded", action="store_true", help="let the first request load the model, to compare")
    options = parser.parse_args(arguments)
    print(f"{described(settings().torch_thread_count())}\n\n{HEAD}")
    for model in options.models or list(REGISTRY):
        print(measure(model, preloaded=not options.not_preloaded).row, flush=True)


if __name__ == "__main__":
    main()
