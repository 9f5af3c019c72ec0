"""The same model function behind BentoML's own adaptive batching."""

from __future__ import annotations

import base64
import os

import bentoml

from bench.serving import functions


@bentoml.service(name="bench_captions", workers=1, traffic={"timeout": 120})
class BatchedBento:
    """`POST /caption` with `{"images": [base64]}`."""

    def __init__(self) -> None:
        self.captions = functions.from_environment()

    @bentoml.api(batchable=True, max_batch_size=int(os.environ.get(functions.ROWS, "32")))
    def caption(self, images: list[str]) -> list[str]:
        return self.captions([base64.b64decode(image) for image in images])
