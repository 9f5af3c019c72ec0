"""Capturing a step as a CUDA graph."""

from __future__ import annotations

from collections.abc import Callable

import torch

_WARM_UPS = 2  # libraries choose kernels and allocate memory when they first run

Run = Callable[[], object]


class NoGraphs:
    """Captures nothing: a step is run as it was given."""

    def capture(self, run: Run) -> Run:
        """A callable that repeats `run`. Capturing may call `run` several times, so `run` must be idempotent."""
        return run

    def reset(self) -> None:
        """Release what was captured; none of it is run again."""


class CudaGraphs(NoGraphs):
    """Captures graphs on `device`, all in one memory pool: replays never overlap, and leave their results in buffers
    outside of the pool.
    """

    def __init__(self, device: torch.device) -> None:
        self._device = device
        with torch.cuda.device(device):
            self._stream = torch.cuda.Stream()  # type: ignore[no-untyped-call]  # one: cuBLAS keeps a workspace for each
        self.reset()

    def capture(self, run: Run) -> Run:
        stream, graph = self._stream, torch.cuda.CUDAGraph()
        with torch.cuda.device(self._device):
            own = torch.cuda.current_stream()
            try:
                stream.wait_stream(own)
                with torch.cuda.stream(stream):
                    for _ in range(_WARM_UPS):
                        run()
                own.wait_stream(stream)
                # thread_local: work of other threads on the device is neither captured nor an error.
                with torch.cuda.graph(graph, pool=self._pool, stream=stream, capture_error_mode="thread_local"):
                    run()
            finally:
                torch.cuda.set_stream(own)  # where ending a capture raises, torch leaves the thread on the other one
        replay: Run = graph.replay
        return replay

    def reset(self) -> None:
        self._pool = torch.cuda.graph_pool_handle()  # a pool whose graphs are all released cannot be used again
