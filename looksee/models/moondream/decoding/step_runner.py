"""Decode steps over buffers that stay where they are, so that a CUDA graph of them can be captured once and replayed.

A step of a small batch is hundreds of kernels that are each done sooner than the next one is launched; replayed as one
graph they follow each other at once. A graph knows addresses and sizes, not tensors, so what it works on never moves,
and the batch is padded to one of a few sizes: buckets of rows times blocks of slots, each captured when it is first
needed. Padding sits in seats that are free, at position 0, and writes to nobody's slots.
"""

from __future__ import annotations

import logging
import weakref
from collections.abc import Callable, Sequence

import torch
from torch import Tensor

from looksee.models.interface import out_of_memory
from looksee.models.moondream.decoding.batch_cache import BatchedKVCache, KVStorage, bucket
from looksee.models.moondream.network.cache import BLOCK
from looksee.models.moondream.network.network import Network
from looksee.models.moondream.network.text import causal
from looksee.models.moondream.sequence_items import Piece

logger = logging.getLogger("looksee.models")

_WARM_UPS = 2  # libraries choose kernels and take memory when they first run

Run = Callable[[], object]


class EagerStepRunner:
    """Captures nothing: what is run is what was given."""

    def capture(self, run: Run) -> Run:
        """What does `run` again. `run` may be run on the way, so doing it twice must change nothing."""
        return run

    def forget(self) -> None:
        """Nothing that was captured will be run again."""


class CudaGraphRunner(EagerStepRunner):
    """Captures work on `device`, all of it into one pool of memory: replays follow each other, never overlap, and leave
    their results in buffers outside of the pool.
    """

    def __init__(self, device: torch.device) -> None:
        self._device = device
        with torch.cuda.device(device):
            self._side = torch.cuda.Stream()  # type: ignore[no-untyped-call]  # one for good: with each there is a workspace of cuBLAS's
        self.forget()

    def capture(self, run: Run) -> Run:
        side, graph = self._side, torch.cuda.CUDAGraph()
        with torch.cuda.device(self._device):
            side.wait_stream(torch.cuda.current_stream())
            with torch.cuda.stream(side):
                for _ in range(_WARM_UPS):
                    run()
            torch.cuda.current_stream().wait_stream(side)
            # What other threads do on the device meanwhile is no part of it, and no mistake.
            with torch.cuda.graph(graph, pool=self._pool, stream=side, capture_error_mode="thread_local"):
                run()
        replay: Run = graph.replay
        return replay

    def forget(self) -> None:
        self._pool = torch.cuda.graph_pool_handle()  # one whose graphs are all gone cannot be used again


class StaticStepRunner:
    """Decode steps of one batch at a time, captured by `graphs`.

    No more graphs are kept than there are buckets: of the published model for up to 32 rows 7 times 8.
    """

    def __init__(self, net: Network, graphs: EagerStepRunner, *, block: int = 4 * BLOCK) -> None:
        """`block` is the number of slots that a bucket's are a multiple of."""
        self._net, self._graphs, self._block = net, graphs, block
        self._storage: KVStorage | None = None
        self._seated: weakref.ref[BatchedKVCache] | None = None
        self._forget_graphs()

    def seat(self, cache: BatchedKVCache) -> BatchedKVCache | None:
        """The same rows in the storage, where they stay; `cache` is used up. None while another batch is there."""
        if cache.storage is self._storage:
            return cache
        if self._seated is not None and self._seated() is not None:
            return None
        if self._storage is None:
            config, device, dtype = self._net.config.text, self._net.device, self._net.cache_dtype
            self._storage = KVStorage(config, device=device, dtype=dtype, block=self._block, stays=True)
        seated = BatchedKVCache(self._storage)
        seated.add_rows(cache)
        self._seated = weakref.ref(seated)
        return seated

    def step(self, cache: BatchedKVCache, pieces: Sequence[Piece], positions: Sequence[int]) -> Tensor:
        """Feed each row a piece at its position: hidden states (rows, width)."""
        storage = cache.storage
        rows, slots = bucket(cache.rows), storage.in_blocks(max(positions) + 1)
        cache.grow(slots)
        storage.reserve(rows, slots)
        if storage.moves != self._moves:
            self._forget_graphs()
            self._take_place(storage)
        padding = [0] * (rows - cache.rows)
        fed, places = [*cache.by_seat(pieces), *padding], [*cache.by_seat(positions), *padding]
        self._embeddings[:rows] = self._net.embed([[piece] for piece in fed])
        self._positions[:rows] = torch.tensor(places)[:, None].to(self._positions.device)
        self._run(storage, rows, slots)
        return self._hidden[cache.seats]

    def release(self) -> None:
        """Give back the graphs, and the storage unless a batch is in it."""
        self._forget_graphs()
        if self._seated is None or self._seated() is None:
            self._storage = None
            self._seated = None

    def _forget_graphs(self) -> None:
        self._moves = 0
        self._embeddings = self._positions = self._hidden = torch.empty(0)
        self._runs: dict[tuple[int, int], Run] = {}
        self._graphs.forget()

    def _take_place(self, storage: KVStorage) -> None:
        """Where a step's input and output lie, for as long as the storage stays."""
        width, device, dtype = self._net.config.text.dim, self._net.device, self._net.dtype
        self._embeddings = torch.zeros(storage.seats, 1, width, device=device, dtype=dtype)
        self._positions = torch.zeros(storage.seats, 1, device=device, dtype=torch.int64)
        self._hidden = torch.zeros(storage.seats, width, device=device, dtype=dtype)
        self._moves = storage.moves

    def _run(self, storage: KVStorage, rows: int, slots: int) -> None:
        run = self._runs.get((rows, slots))
        if run is None:
            run = self._runs[rows, slots] = self._captured(self._static(storage, rows, slots))
        run()

    def _static(self, storage: KVStorage, rows: int, slots: int) -> Run:
        """A step of the first seats, whatever is in them. Doing it twice writes the same to the same slots."""
        cache = storage.part(rows, slots)
        embeddings, positions, hidden = self._embeddings[:rows], self._positions[:rows], self._hidden[:rows]

        def run() -> None:
            hidden[:] = self._net.text(embeddings, positions, cache, causal(positions, slots))[:, 0]

        return run

    def _captured(self, run: Run) -> Run:
        """`run` or, where that works, its graph. Raises only when memory runs out."""
        try:
            return self._graphs.capture(run)
        except Exception as error:
            if out_of_memory(error):
                raise
            logger.warning("decode steps run without graphs, for they cannot be captured here: %s", error)
            self._graphs = EagerStepRunner()
            return run
