"""The plain server that the benchmark compares with: FastAPI, one picture at a time through the library's `generate`.

It answers the captioning route's simplest form with the same checkpoint, threads and decoding of pictures, so that the
difference is the serving and nothing else.
"""

from __future__ import annotations

import argparse
import base64
import threading
from typing import Any, Literal

import torch
import uvicorn
from fastapi import FastAPI
from pydantic import BaseModel

from bench.library import Library
from bench.serving import functions
from looksee.core.images import decode
from looksee.core.tasks import Answer, Job, Task
from looksee.models.weights.source import SAMPLES


class PlainRequest(BaseModel):
    image: str
    question: str = ""
    object: str = ""
    length: Literal["short", "normal", "long"] = "normal"


class OneAtATime:
    """Our own Moondream2, for want of a library's: one request at a time, a row from its first step to its last."""

    def __init__(self, name: str) -> None:
        self.model = functions.own(name)
        self._one_at_a_time = threading.Lock()

    def answer(self, task: Task, asked: PlainRequest) -> Answer:
        data = base64.b64decode(asked.image)
        with self._one_at_a_time:
            row = self.model.prepare(Job(task, (data,), asked.question or asked.object, length=asked.length))
            functions.decoded(self.model, [row])
            answer: Answer = self.model.answer(row)
            return answer


def skilled(model: OneAtATime) -> FastAPI:
    app = FastAPI()

    @app.post("/query")
    def query(asked: PlainRequest) -> dict[str, str]:
        return {"answer": model.answer(Task.QUERY, asked).text}

    @app.post("/caption")
    def caption(asked: PlainRequest) -> dict[str, str]:
        return {"caption": model.answer(Task.CAPTION, asked).text}

    @app.post("/detect")
    def detect(asked: PlainRequest) -> dict[str, Any]:
        boxes = model.answer(Task.DETECT, asked).boxes
        return {"detections": [box._asdict() for box in boxes], "count": len(boxes)}

    @app.post("/point")
    def point(asked: PlainRequest) -> dict[str, Any]:
        points = model.answer(Task.POINT, asked).points
        return {"points": [place._asdict() for place in points], "count": len(points)}

    return app


def build(library: Library) -> FastAPI:
    one_at_a_time = threading.Lock()
    app = FastAPI()

    @app.post("/caption")
    def caption(asked: PlainRequest) -> dict[str, str]:
        data = base64.b64decode(asked.image)
        with one_at_a_time:
            return {"caption": library.caption(decode(data))}

    return app


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("model")
    parser.add_argument("--port", type=int, required=True)
    parser.add_argument("--threads", type=int, required=True)
    options = parser.parse_args()
    torch.set_num_threads(options.threads)
    name = options.model
    app = skilled(OneAtATime(name)) if name == functions.OWN else build(Library(name, SAMPLES / name))
    uvicorn.run(app, host="127.0.0.1", port=options.port, log_level="warning")


if __name__ == "__main__":
    main()
