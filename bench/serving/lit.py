"""The same model function behind LitServe, with its own batching: requests wait at most `batch_timeout` for company.

LitServe is no part of the service's environment: `pip install -e '.[bench]'`. It reads the annotations of an API's
methods as they are, so they are not postponed here.
"""

import argparse
import base64
import os
from collections.abc import Sequence

import litserve
from fastapi import Request

from bench.serving import functions


class BatchedLit(litserve.LitAPI):
    """`POST /caption` with `{"image": base64}`."""

    def setup(self, device: str) -> None:
        self.captions = functions.from_environment()

    def decode_request(self, request: Request) -> bytes:
        return base64.b64decode(request["image"])

    def predict(self, batch: Sequence[bytes]) -> list[str]:
        return self.captions(batch)

    def encode_response(self, output: str) -> dict[str, str]:
        return {"caption": output}


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("model")
    parser.add_argument("--port", type=int, required=True)
    parser.add_argument("--threads", type=int, required=True)
    parser.add_argument("--rows", type=int, required=True)
    parser.add_argument("--batch-timeout", type=float, required=True, help="seconds")
    options = parser.parse_args()
    os.environ |= {functions.MODEL: options.model, functions.THREADS: str(options.threads)}
    api = BatchedLit(max_batch_size=options.rows, batch_timeout=options.batch_timeout, api_path="/caption")
    server = litserve.LitServer(api, accelerator="cpu", devices=1, workers_per_device=1, timeout=120)
    server.run(host="127.0.0.1", port=options.port, log_level="warning", generate_client_file=False)


if __name__ == "__main__":
    main()
