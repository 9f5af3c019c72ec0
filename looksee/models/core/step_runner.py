"""Decode steps, eager or over buffers at fixed addresses, where each can be captured as a CUDA graph and replayed.

A step of a small batch is hundreds of kernels, each of which ends before the next is launched; a replayed graph
launches them back to back. A graph refers to addresses and sizes, so its buffers are never moved, and the batch is
padded to one of a few sizes: buckets of rows times lengths of the storage, each captured when it is first needed.
Padding rows are spare rows of the storage, at position 0; what they write is read by no row of a batch.
"""

from __future__ import annotations

import logging
from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from looksee.models.core.batch_cache import BatchCache
from looksee.models.core.decoder import Decoder
from looksee.models.core.graphs import NoGraphs, Run
from looksee.models.core.passes import Extension
from looksee.models.core.storage import GROWTH, KVStorage, row_bucket
from looksee.models.interface import out_of_memory

logger = logging.getLogger("looksee.models")

_GRAPH_GROWTH = 4 * GROWTH  # slots by which a bucket's length grows: fewer buckets than with the storage's own


@dataclass(frozen=True, slots=True)
class _BoundRows:
    """Rows at the addresses that a graph refers to, whatever becomes of the storage."""

    layers: list[Tensor]
    crossed: list[Tensor]

    def layer(self, index: int) -> Tensor:
        return self.layers[index]

    def cross(self, index: int) -> Tensor:
        return self.crossed[index]


class StepRunner:
    """The steps of a decoder, over one storage that all batches of a model share.

    Without `graphs` they are eager, and read no more slots than the longest row has. With them, the storage is static,
    and steps are captured for the batch that has its first rows; another one's are eager. There are at most as many
    graphs as buckets: for up to 32 rows and 2,048 slots 7 times 8.
    """

    def __init__(
        self,
        decoder: Decoder,
        *,
        device: torch.device,
        dtype: torch.dtype,
        graphs: NoGraphs | None = None,
        growth: int | None = None,
    ) -> None:
        """`dtype` is that of keys and values; `growth` the slots that the storage's length is a multiple of."""
        self.decoder, self._graphs = decoder, graphs
        static = graphs is not None
        self.storage = KVStorage(
            decoder.shape,
            device=device,
            dtype=dtype,
            growth=growth or (_GRAPH_GROWTH if static else GROWTH),
            static=static,
        )
        self.storage.before_resize = self._reset  # what was captured refers to the tensors, and would keep them
        self._reset()

    @torch.inference_mode()
    def prepare(self, rows: int, length: int) -> None:
        """Reserve storage and capture the steps of all batches of up to so many rows and slots, before the first.

        What cannot be captured runs without, with a line in the log. A batch that has more is captured when it comes.
        """
        if self._graphs is None:
            return
        length = self.storage.rounded(length)
        try:
            self.storage.reserve(rows, length)
            embeddings = self.decoder.embed(torch.zeros(1, 1, dtype=torch.int64, device=self.storage.device))
            self._allocate_buffers(embeddings)
            for count in sorted({row_bucket(number) for number in range(1, rows + 1)}):
                for slots in range(self.storage.growth, length + 1, self.storage.growth):
                    self._static_run(count, slots)
        except Exception as error:
            if not out_of_memory(error):
                raise
            logger.warning("decode steps run without graphs, for which there is not enough memory: %s", error)
            self.release()
            self._graphs = None

    def step(self, cache: BatchCache, embeddings: Tensor, positions: Sequence[int]) -> Tensor:
        """Feed each row one token: hidden states (rows, width).

        `embeddings` (rows, 1, width), `positions` and the result are in the order of the storage's rows.
        """
        length = max(positions) + 1
        cache.grow(length)
        if self._graphs is not None:
            rows, length = row_bucket(cache.rows), self.storage.rounded(length)
            self.storage.reserve(max(cache.end, rows), length)
            if cache.first == 0 and self.storage.is_free(0, rows, but=cache):
                return self._replay(embeddings, positions, rows, length)
        where = torch.tensor(positions, device=self.storage.device)[:, None]
        aligned = self._graphs is None and min(positions) + 1 == length
        run = Extension(cache.span(), where, length, aligned=aligned)
        hidden: Tensor = self.decoder(embeddings, run)
        return hidden[:, -1]

    def release(self) -> None:
        """Release the graphs, and the storage unless a batch has rows in it."""
        self._reset()
        self.storage.release()

    def _replay(self, embeddings: Tensor, positions: Sequence[int], rows: int, length: int) -> Tensor:
        """A step padded to `rows` rows and `length` slots."""
        used = len(positions)
        self._allocate_buffers(embeddings)
        self._embeddings[:used] = embeddings
        padded = torch.tensor([*positions, *[0] * (rows - used)])
        self._positions[:rows] = padded[:, None].to(self._positions.device)
        self._static_run(rows, length)()
        return self._hidden[:used]

    def _static_run(self, rows: int, length: int) -> Run:
        """The step of a bucket, captured now if it was not; capturing it writes the keys and values of its inputs."""
        if (rows, length) not in self._runs:
            self._runs[rows, length] = self._capture(self._static_step(rows, length))
        return self._runs[rows, length]

    def _reset(self) -> None:
        self._embeddings = self._positions = self._hidden = torch.empty(0)
        self._runs: dict[tuple[int, int], Run] = {}
        if self._graphs is not None:
            self._graphs.reset()

    def _allocate_buffers(self, embeddings: Tensor) -> None:
        """Inputs and outputs of a step, at the same addresses until the storage is reallocated.

        `embeddings` has the width and dtype of the input.
        """
        if len(self._positions):
            return
        rows, width = self.storage.rows, embeddings.shape[-1]
        self._embeddings = embeddings.new_zeros(rows, 1, width)
        self._positions = torch.zeros(rows, 1, device=embeddings.device, dtype=torch.int64)
        self._hidden = embeddings.new_zeros(rows, width)

    def _static_step(self, rows: int, length: int) -> Run:
        """A step of the storage's first rows; repeating it writes the same to the same slots."""
        slots = _BoundRows(
            [layer[:rows] for layer in self.storage.layers], [layer[:rows] for layer in self.storage.cross]
        )
        embeddings, positions, hidden = self._embeddings[:rows], self._positions[:rows], self._hidden[:rows]

        def run() -> None:
            step = Extension(slots, positions, length)
            hidden[:] = self.decoder(embeddings, step)[:, -1]

        return run

    def _capture(self, run: Run) -> Run:
        """The graph of `run`, or `run` itself where capturing fails. Raises only when memory runs out."""
        assert self._graphs is not None
        try:
            return self._graphs.capture(run)
        except Exception as error:
            if out_of_memory(error):
                raise
            logger.warning("decode steps run without graphs, for they cannot be captured here: %s", error)
            self._graphs = NoGraphs()
            return run
