"""The plain server that the benchmark compares with: FastAPI, one picture at a time through the library's `generate`.

It answers the captioning route's simplest form with the same checkpoint, threads and decoding of pictures, so that the
difference is the serving and nothing else.
"""

from __future__ import annotations

import argparse
import threading
from typing import Annotated

import torch
import uvicorn
from fastapi import FastAPI, File, UploadFile

from bench.library import Library
from models.weights import SAMPLES
from vision.images import decode


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
    app = build(Library(options.model, SAMPLES / options.model))
    uvicorn.run(app, host="127.0.0.1", port=options.port, log_level="warning")


if __name__ == "__main__":
    main()
