"""Decode steps over buffers at fixed addresses, so that each can be captured as a CUDA graph once and replayed.

A step of a small batch is hundreds of kernels, each of which ends before the next is launched; a replayed graph
launches them back to back. A graph refers to addresses and sizes, so its buffers are never moved, and the batch is
padded to one of a few sizes: buckets of rows times blocks of positions, each captured when it is first needed. Padding
rows are spare rows of the storage, at position 0; what they write is read by no row of the batch.
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
from looksee.models.moondream.sequence_items import SequenceItem

logger = logging.getLogger("looksee.models")

_WARM_UPS = 2  # libraries choose kernels and allocate memory when they first run

Run = Callable[[], object]


class EagerStepRunner:
    """Captures nothing: a step is run as it was given."""

    def capture(self, run: Run) -> Run:
        """A callable that repeats `run`. Capturing may call `run` several times, so `run` must be idempotent."""
        return run

    def reset(self) -> None:
        """Release what was captured; none of it is run again."""


class CudaGraphRunner(EagerStepRunner):
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
            stream.wait_stream(torch.cuda.current_stream())
            with torch.cuda.stream(stream):
                for _ in range(_WARM_UPS):
                    run()
            torch.cuda.current_stream().wait_stream(stream)
            # thread_local: work of other threads on the device is neither captured nor an error.
            with torch.cuda.graph(graph, pool=self._pool, stream=stream, capture_error_mode="thread_local"):
                run()
        replay: Run = graph.replay
        return replay

    def reset(self) -> None:
        self._pool = torch.cuda.graph_pool_handle()  # a pool whose graphs are all released cannot be used again


class StaticStepRunner:
    """Decode steps of one batch at a time over static storage, captured by `graphs`.

    There are at most as many graphs as buckets: for up to 32 rows of the published model 7 times 8.
    """

    def __init__(self, net: Network, graphs: EagerStepRunner, *, block: int = 4 * BLOCK) -> None:
        """`block` is the number of positions that a bucket's length is a multiple of."""
        self._net, self._graphs, self._block = net, graphs, block
        self._storage: KVStorage | None = None
        self._adopted: weakref.ref[BatchedKVCache] | None = None
        self._reset()

    def adopt(self, cache: BatchedKVCache) -> BatchedKVCache | None:
        """A cache with the same rows in the static storage; `cache` is empty afterwards, unless it was there already.

        None, with `cache` unchanged, while another batch is in the storage.
        """
        if cache.storage is self._storage:
            return cache
        if self._adopted is not None and self._adopted() is not None:
            return None
        if self._storage is None:
            config, device, dtype = self._net.config.text, self._net.device, self._net.cache_dtype
            self._storage = KVStorage(config, device=device, dtype=dtype, block=self._block, static=True)
        adopted = BatchedKVCache(self._storage)
        adopted.add_rows(cache)
        self._adopted = weakref.ref(adopted)
        return adopted

    def step(self, cache: BatchedKVCache, items: Sequence[SequenceItem], positions: Sequence[int]) -> Tensor:
        """Feed each row of an adopted cache one item at its position: hidden states (rows, width)."""
        storage = cache.storage
        rows, length = bucket(cache.rows), storage.in_blocks(max(positions) + 1)
        cache.grow(length)
        storage.reserve(rows, length)
        if storage.reallocations != self._reallocations:
            self._reset()
            self._allocate_buffers(storage)
        padding = [0] * (rows - cache.rows)
        fed = [*cache.in_storage_order(items), *padding]
        fed_positions = [*cache.in_storage_order(positions), *padding]
        self._embeddings[:rows] = self._net.embed([[item] for item in fed])
        self._positions[:rows] = torch.tensor(fed_positions)[:, None].to(self._positions.device)
        self._run(storage, rows, length)
        return self._hidden[cache.storage_rows]

    def release(self) -> None:
        """Release the graphs, and the storage unless a batch is in it."""
        self._reset()
        if self._adopted is None or self._adopted() is None:
            self._storage = None
            self._adopted = None

    def _reset(self) -> None:
        self._reallocations = 0
        self._embeddings = self._positions = self._hidden = torch.empty(0)
        self._runs: dict[tuple[int, int], Run] = {}
        self._graphs.reset()

    def _allocate_buffers(self, storage: KVStorage) -> None:
        """Inputs and outputs of a step, at the same addresses until the storage is reallocated."""
        width, device, dtype = self._net.config.text.dim, self._net.device, self._net.dtype
        self._embeddings = torch.zeros(storage.rows, 1, width, device=device, dtype=dtype)
        self._positions = torch.zeros(storage.rows, 1, device=device, dtype=torch.int64)
        self._hidden = torch.zeros(storage.rows, width, device=device, dtype=dtype)
        self._reallocations = storage.reallocations

    def _run(self, storage: KVStorage, rows: int, length: int) -> None:
        run = self._runs.get((rows, length))
        if run is None:
            run = self._runs[rows, length] = self._capture(self._static_step(storage, rows, length))
        run()

    def _static_step(self, storage: KVStorage, rows: int, length: int) -> Run:
        """A step of the storage's first rows; repeating it writes the same to the same positions."""
        cache = storage.view(rows, length)
        embeddings, positions, hidden = self._embeddings[:rows], self._positions[:rows], self._hidden[:rows]

        def run() -> None:
            hidden[:] = self._net.text(embeddings, positions, cache, causal(positions, length))[:, 0]

        return run

    def _capture(self, run: Run) -> Run:
        """The graph of `run`, or `run` itself where capturing fails. Raises only when memory runs out."""
        try:
            return self._graphs.capture(run)
        except Exception as error:
            if out_of_memory(error):
                raise
            logger.warning("decode steps run without graphs, for they cannot be captured here: %s", error)
            self._graphs = EagerStepRunner()
            return run
