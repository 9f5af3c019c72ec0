"""Moondream2 behind the five verbs: rows of all skills, prompts, pictures and tilings decode together.

One step feeds each row its latest piece, a word or a place, in one pass of the text model; the heads then run on the
rows that need them, and each row's own state machine says what its reading means.
"""

from __future__ import annotations

import logging
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor

from looksee.core.geometry import point_within, within
from looksee.core.tasks import Answer, Job, Reasoning
from looksee.models import sampling
from looksee.models.detokenize import stable_prefix, truncate_at_stop
from looksee.models.encoding_cache import EncodingCache
from looksee.models.moondream.config import Config
from looksee.models.moondream.crops.picture import CroppedPicture
from looksee.models.moondream.decoding.batch_cache import BatchedKVCache, KVStorage
from looksee.models.moondream.decoding.step_runner import CudaGraphRunner, StaticStepRunner
from looksee.models.moondream.network import checkpoint
from looksee.models.moondream.network.cache import KVCache, in_blocks, row_bytes
from looksee.models.moondream.reasoning import reasoning
from looksee.models.moondream.row_builder import RowBuilder
from looksee.models.moondream.rows import Head, MoondreamRow, Reading, ReasoningRow
from looksee.models.moondream.stream_text import whole_words
from looksee.models.moondream.tokenizer import MoondreamTokenizer

logger = logging.getLogger("looksee.models")

PREFIX_BYTES = 2**30
CROPS_AT_ONCE = 16
_PREFIX_BYTES_AT_ONCE = 2**29  # of pictures read together; a published one has 137 MiB in bfloat16, 274 on a CPU


@dataclass(slots=True)
class MoondreamBatch:
    """The running rows; `hidden` (rows, width) are their states of the latest step."""

    rows: list[MoondreamRow]
    cache: BatchedKVCache
    hidden: Tensor


class Moondream:
    """A loaded Moondream2. One thread at a time may call the five verbs."""

    def __init__(
        self,
        directory: Path,
        *,
        device: torch.device,
        dtype: torch.dtype,
        tokenizer: Path | None = None,
        max_crops: int | None = None,
        cpu_crops: int | None = None,
        crops_at_once: int = CROPS_AT_ONCE,
        prefix_bytes: int = PREFIX_BYTES,
        cuda_graphs: bool = False,
    ) -> None:
        """Load `config.json`, the safetensors and `tokenizer.json` of `directory`. Raises WeightsUnavailable.

        `tokenizer` is the tokenizer's file where it lies elsewhere, as the published one does. `max_crops` bounds the
        local crops of a picture and with them the work for it; without one it is `cpu_crops` on a CPU, if that is
        given, and else the checkpoint's (published: 12). The encoder works on no more than `crops_at_once` crops at a
        time. `prefix_bytes` bounds what is kept of pictures that may be asked about again (for the published model 137
        MiB each in bfloat16, and 274 on a CPU, where they are float32). `cuda_graphs` has decode steps captured and
        replayed on a CUDA device.
        """
        config = Config.load(directory)
        most = max_crops or (cpu_crops if device.type == "cpu" else None)
        self.config = config.with_crops(most) if most else config
        self.tokenizer = MoondreamTokenizer(tokenizer or directory / "tokenizer.json", self.config.tokenizer)
        self.net = checkpoint.load(directory, self.config, device=device, dtype=dtype)
        self.prefixes: EncodingCache[list[Tensor]] = EncodingCache(
            prefix_bytes, lambda layers: sum(layer.nbytes for layer in layers)
        )
        self.requests = RowBuilder(self.config, self.tokenizer, self.prefixes)
        self.static = (
            StaticStepRunner(self.net, CudaGraphRunner(device)) if cuda_graphs and device.type == "cuda" else None
        )
        if cuda_graphs and self.static is None:
            logger.warning("there are no CUDA graphs on the device '%s': moondream decodes without them", device)
        self._crops_at_once = crops_at_once
        prefix = row_bytes(self.config.text, self.config.text.prefix_attn, self.net.cache_dtype)
        self._prefixes_at_once = max(1, _PREFIX_BYTES_AT_ONCE // prefix)

    def prepare(self, job: Job) -> MoondreamRow:
        return self.requests.row(job)

    @torch.inference_mode()
    def prefill(self, rows: Sequence[MoondreamRow]) -> MoondreamBatch:
        histories = [row.history[:-1] for row in rows]
        slots = in_blocks(max(row.position for row in rows) + 1)
        device, dtype = self.net.device, self.net.cache_dtype
        cache = BatchedKVCache(KVStorage(self.config.text, len(rows), slots, device=device, dtype=dtype), len(rows))
        written = cache.written()
        self._read_pictures(rows, written)
        self.net.extend(histories, [row.start for row in rows], written)
        return MoondreamBatch(list(rows), cache, self._no_hidden())

    @torch.inference_mode()
    def add_rows(self, running: MoondreamBatch, newcomers: MoondreamBatch) -> MoondreamBatch:
        running.cache.add_rows(newcomers.cache)
        return MoondreamBatch(running.rows + newcomers.rows, running.cache, self._no_hidden())

    @torch.inference_mode()
    def step(self, batch: MoondreamBatch) -> None:
        latest, positions = [row.latest for row in batch.rows], [row.position for row in batch.rows]
        if self.static is not None and (seated := self.static.seat(batch.cache)):
            batch.cache = seated
            batch.hidden = self.static.step(seated, latest, positions)
            return
        cache = batch.cache
        cache.grow(in_blocks(max(positions) + 1))
        pieces = [[piece] for piece in latest]
        hidden = self.net.extend(cache.by_seat(pieces), cache.by_seat(positions), cache.written())[:, 0]
        batch.hidden = hidden[cache.seats]

    @torch.inference_mode()
    def keep_rows(self, batch: MoondreamBatch, keep: Sequence[int]) -> MoondreamBatch:
        rows = [batch.rows[index] for index in keep]
        batch.cache.keep(keep, in_blocks(max(row.position for row in rows) + 1))
        return MoondreamBatch(rows, batch.cache, self._no_hidden())

    @torch.inference_mode()
    def sample(self, batch: MoondreamBatch) -> None:
        for row, reading in zip(batch.rows, self._read(batch), strict=True):
            row.take(reading)
            if row.stop and row.finish is None and truncate_at_stop(self._raw_text(row), row.stop)[1]:
                row.finish = "stop"

    def release_memory(self) -> None:
        self.prefixes.clear()
        if self.static is not None:
            self.static.release()
        if self.net.device.type == "cuda":
            torch.cuda.empty_cache()

    def reuse(self) -> tuple[int, int]:
        return self.prefixes.hits, self.prefixes.misses

    def text(self, row: MoondreamRow) -> str:
        return truncate_at_stop(self._raw_text(row), row.stop)[0].lstrip()

    def partial(self, row: MoondreamRow) -> str:
        return whole_words(stable_prefix(self.text(row), row.stop))

    def reasoning(self, row: ReasoningRow) -> Reasoning:
        """What the row has thought so far, and the places in it."""
        return reasoning(row.thoughts, self.config.tokenizer, self.tokenizer.decode)

    def answer(self, row: MoondreamRow) -> Answer:
        return Answer(
            text=self.text(row).strip(),
            finish=row.finish or "length",
            prompt_tokens=row.prompt_tokens,
            new_tokens=len(row.tokens),
            boxes=tuple(map(within, row.boxes)),
            points=tuple(map(point_within, row.points)),
            reasoning=self.reasoning(row) if isinstance(row, ReasoningRow) else None,
        )

    def _raw_text(self, row: MoondreamRow) -> str:
        return self.tokenizer.decode(row.answer)

    def _read_pictures(self, rows: Sequence[MoondreamRow], cache: KVCache) -> None:
        """Begin each row with its picture's prefix, a kept one or a new one; a new picture is encoded once."""
        seen_by: dict[bytes, list[int]] = {}
        for index, row in enumerate(rows):
            if row.picture:
                seen_by.setdefault(row.picture.digest, []).append(index)
        new: dict[bytes, CroppedPicture] = {}
        for digest, places in seen_by.items():
            kept = self.prefixes.get(digest, rows=len(places))
            if kept:
                cache.put(places, kept)
            elif picture := rows[places[0]].picture:
                new[digest] = picture
        if new:
            crops = [picture.crops(self.config.vision) for picture in new.values()]
            tokens = self.net.image_tokens(crops, at_once=self._crops_at_once)
            digests = iter(new)
            for some in torch.split(tokens, self._prefixes_at_once):
                layers = self.net.read_pictures(some)
                for number in range(len(some)):
                    digest = next(digests)
                    prefix = [layer[:, number].clone() for layer in layers]  # a view would keep all of them
                    cache.put(seen_by[digest], prefix)
                    self.prefixes.put(digest, prefix)
        for row in rows:
            if row.picture:
                row.picture.forget_crops()

    def _read(self, batch: MoondreamBatch) -> list[Reading]:
        """What the heads say about each row, each head run on the rows that need it."""
        rows, region = batch.rows, self.net.region
        readings = [Reading() for _ in rows]

        def needing(head: Head) -> list[int]:
            return [index for index, row in enumerate(rows) if head in row.heads]

        if places := needing(Head.TOKEN):
            logits = self.net.text.logits(batch.hidden[places])
            banned = [(number, token) for number, place in enumerate(places) for token in rows[place].banned]
            if banned:
                logits[[number for number, _ in banned], [token for _, token in banned]] = -torch.inf
            for place, token in zip(places, sampling.choose(logits, [rows[place] for place in places]), strict=True):
                readings[place].token = token
        if places := needing(Head.COORDINATE):
            bins = region.coordinate_logits(batch.hidden[places]).argmax(-1)
            for place, number in zip(places, bins.tolist(), strict=True):
                readings[place].coordinate = region.coordinate(number)
        if places := needing(Head.SIZE):
            pairs = region.size_logits(batch.hidden[places]).argmax(-1)
            for place, (width, height) in zip(places, pairs.tolist(), strict=True):
                readings[place].size = region.size(width), region.size(height)
        return readings

    def _no_hidden(self) -> Tensor:
        return torch.empty(0, device=self.net.device)
