"""The plain server that the benchmark compares with: FastAPI, one picture at a time through the library's `generate`.

It answers the captioning route's simplest form with the same checkpoint, threads and decoding of pictures, so that the
difference is the serving and nothing else.
"""

from __future__ import annotations

import argparse
import base64
import threading
from typing import Annotated

import torch
import uvicorn
from fastapi import FastAPI, File, UploadFile
from pydantic import BaseModel

from bench.library import Library
from models.loading import load
from models.weights import SAMPLES
from vision.images import decode
from vision.tasks import Job, Task


class Question(BaseModel):
    image: str
    question: str


class Alone:
    """Our own Moondream2, for want of a library's: a row at a time from its first step to its last."""

    def __init__(self, name: str) -> None:
        self.model = load(name, SAMPLES / name, device="cpu", dtype="float32")

    def query(self, picture: bytes, question: str) -> str:
        row = self.model.prepare(Job(Task.QUERY, (picture,), question))
        batch = self.model.prefill([row])
        while row.finish is None:
            self.model.step(batch)
            self.model.read_out(batch)
        return self.model.outcome(row).text


def asked(model: Alone) -> FastAPI:
    one_at_a_time = threading.Lock()
    app = FastAPI()

    @app.post("/query")
    def query(question: Question) -> dict[str, str]:
        data = base64.b64decode(question.image)
        with one_at_a_time:
            return {"answer": model.query(data, question.question)}

    return app


def build(library: Library) -> FastAPI:
    one_at_a_time = threading.Lock()
    app = FastAPI()

    @app.post("/api/caption-images")
    def caption_images(images: Annotated[list[UploadFile], File()]) -> dict[str, list[dict[str, str]]]:
        results = []
        for image in images:
            data = image.file.read()
            with one_at_a_time:
                results.append({"caption": library.caption(decode(data))})
        return {"results": results}

    return app


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("model")
    parser.add_argument("--port", type=int, required=True)
    parser.add_argument("--threads", type=int, required=True)
    options = parser.parse_args()
    torch.set_num_threads(options.threads)
    name = options.model
    app = asked(Alone(name)) if name == "moondream" else build(Library(name, SAMPLES / name))
    uvicorn.run(app, host="127.0.0.1", port=options.port, log_level="warning")


if __name__ == "__main__":
    main()
