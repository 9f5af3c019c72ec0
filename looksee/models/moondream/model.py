"""Moondream2 as a model of the engine: rows of all skills, prompts, images and tilings decode in one batch.

A step feeds each row its latest item, a token, coordinate or size, in one pass of the text model; `sample` then runs
the heads on the rows that need them, and each row's own state machine decides what their outputs mean.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import torch
from torch import Tensor, nn

from looksee.core.geometry import point_within, within
from looksee.core.scoring.tokens import TokenScore
from looksee.core.tasks import Answer, Finish, Job, Reasoning
from looksee.models import sampling
from looksee.models.core.batch_cache import BatchCache
from looksee.models.core.model import TEXT_SLOTS, DecoderBatch, DecoderModel
from looksee.models.grammar.grammars import Grammars
from looksee.models.interface import not_finite
from looksee.models.moondream.config import Config
from looksee.models.moondream.crops.encoder import ImageEncoder
from looksee.models.moondream.network import checkpoint
from looksee.models.moondream.network.confidence import NEAR_COORDINATE, NEAR_SIZE, goes_on, likeliest_bins
from looksee.models.moondream.prefixes import PrefixCache
from looksee.models.moondream.reasoning import reasoning_of
from looksee.models.moondream.row_builder import RowBuilder
from looksee.models.moondream.rows import Head, MoondreamRow, PointRow, ReasoningRow, StepOutput, TextRow
from looksee.models.moondream.stream_text import whole_words
from looksee.models.moondream.tokenizer import MoondreamTokenizer
from looksee.models.texts.row_text import RowText
from looksee.models.token_scores import token_scores

PREFIX_BYTES = 2**30
CROPS_AT_ONCE = 16


MoondreamBatch = DecoderBatch[MoondreamRow]


class Moondream(DecoderModel[MoondreamRow]):
    """A loaded Moondream2."""

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
    ) -> None:
        """Load `config.json`, the safetensors files and `tokenizer.json` of `directory`. Raises WeightsUnavailable.

        `tokenizer` is the tokenizer's file where it is elsewhere, as the published one is. `max_crops` bounds the local
        crops of an image and with them its cost; by default it is `cpu_crops` on a CPU, where that is given, and else
        the checkpoint's (published: 12). The vision tower encodes at most `crops_at_once` crops in one pass.
        `prefix_bytes` bounds the cached prefixes of images (of the published model 137 MiB each in bfloat16, and 274 in
        float32, as they are on a CPU without AMX).
        """
        config = Config.load(directory)
        most = max_crops or (cpu_crops if device.type == "cpu" else None)
        self.device = device
        self.config = config.with_crops(most) if most else config
        self.tokenizer = MoondreamTokenizer(tokenizer or directory / "tokenizer.json", self.config.tokenizer)
        self.net = checkpoint.load(directory, self.config, device=device, dtype=dtype)
        self.encoder = ImageEncoder(self.net, crops_at_once=crops_at_once)
        self.prefixes = PrefixCache(self.net, self.encoder, max_bytes=prefix_bytes)
        self.row_builder = RowBuilder(self.config, self.tokenizer, self.prefixes)
        self.grammars = Grammars(
            self.tokenizer.whole, frozenset({self.config.tokenizer.eos_id}), self.config.text.vocab_size
        )
        self.use_decoder(self.net.text, self.net.cache_dtype)

    def networks(self) -> tuple[nn.Module, nn.Module]:
        """The text model, and the whole network."""
        return self.net.text, self.net

    def prepare(self, job: Job) -> MoondreamRow:
        """Raises what `RowBuilder.row` and `Grammars.matcher` do, and InvalidValue."""
        sampling.check_bias(job.sampling, self.config.text.vocab_size)
        matcher = self.grammars.matcher(job.grammar)
        row = self.row_builder.row(job)
        row.matcher, row.wording = matcher, job.wording
        return row

    def fill(self, rows: Sequence[MoondreamRow], cache: BatchCache) -> None:
        self.prefixes.write([row.image for row in rows], cache)
        self.net.extend([row.history[:-1] for row in rows], [row.start for row in rows], cache)

    def embed_latest(self, rows: Sequence[MoondreamRow]) -> Tensor:
        return self.net.embed([[row.latest] for row in rows])

    @property
    def usual_length(self) -> int:
        return min(self.config.text.max_context, self.config.text.prefix_attn + TEXT_SLOTS)

    def predictable(self, rows: Sequence[MoondreamRow]) -> bool:
        return self._only_text(rows) and super().predictable(rows)

    def choose(self, hidden: Tensor, rows: Sequence[MoondreamRow], pending: Sequence[int]) -> Tensor:
        return self._choose(self.net.text.logits(hidden), rows, pending)

    def _choose(self, logits: Tensor, rows: Sequence[MoondreamRow], pending: Sequence[int]) -> Tensor:
        banned = [
            (index, token)
            for index, (row, count) in enumerate(zip(rows, pending, strict=True))
            for token in row.banned_ids(count)
        ]
        if banned:
            logits[[index for index, _ in banned], [token for _, token in banned]] = -torch.inf
        return sampling.choose(logits, rows, pending)

    def accept(self, row: MoondreamRow, token: int) -> None:
        self._advance(row, StepOutput(token))

    @torch.inference_mode()
    def sample(self, batch: MoondreamBatch) -> None:
        if self._only_text(batch.rows):
            super().sample(batch)
            return
        # Other heads than that of tokens, by what the rows have: `step` has read all pending tokens.
        for row, output in zip(batch.rows, self._head_outputs(batch), strict=True):
            if row.finish is not None or row.error is not None:
                continue  # it ended by a token that was read just before the step
            if output is None:
                row.error = not_finite()
            else:
                self._advance(row, output)

    def release_memory(self) -> None:
        self.prefixes.clear()
        super().release_memory()

    def reuse(self) -> dict[str, tuple[int, int]]:
        return {"pictures": (self.prefixes.hits, self.prefixes.misses)}

    def text(self, row: MoondreamRow) -> str:
        return self._row_text(row).so_far(row.answer) if isinstance(row, TextRow) else ""

    def partial(self, row: MoondreamRow) -> str:
        return whole_words(self._row_text(row).partial(row.answer)) if isinstance(row, TextRow) else ""

    def reasoning(self, row: ReasoningRow) -> Reasoning:
        """The row's thoughts so far, as text with the points in it."""
        return reasoning_of(row.thoughts, self.config.tokenizer, self.tokenizer.decode)

    def answer(self, row: MoondreamRow) -> Answer:
        text, finish = "", row.finish or "length"
        if isinstance(row, TextRow):
            text, finish = self._row_text(row).whole(row.answer, row.finish)
        return Answer(
            text=text,
            finish=finish,
            prompt_tokens=row.prompt_tokens,
            new_tokens=len(row.tokens),
            boxes=tuple(map(within, row.boxes)),
            points=tuple(map(point_within, row.points)),
            reasoning=self.reasoning(row) if isinstance(row, ReasoningRow) else None,
            confidences=tuple(row.confidences),
            tokens=self._scores(row, finish) if isinstance(row, TextRow) else (),
        )

    def _scores(self, row: TextRow, finish: Finish) -> tuple[TokenScore, ...]:
        if row.sampling.logprobs is None or row.answer_start is None:
            return ()
        if row.matcher is not None and row.matcher.scores_end:
            return token_scores(row, row.answer, self.tokenizer.token_bytes.of, start=row.answer_start)
        shown = self._row_text(row).shown(row.answer, finish)
        ids, start = row.answer[shown.start : shown.stop], row.answer_start + shown.start
        silent = {number for number in ids if self.tokenizer.detokenizer.is_silent(number)}
        return token_scores(row, ids, self.tokenizer.token_bytes.of, start=start, passed_over=silent)

    def _only_text(self, rows: Sequence[MoondreamRow]) -> bool:
        """Whether what each row is fed next is a token, whichever is chosen for it."""
        return all(isinstance(row, TextRow) and row.answer_start is not None for row in rows)

    def _advance(self, row: MoondreamRow, output: StepOutput) -> None:
        row.advance(output)
        if isinstance(row, TextRow) and row.finish != "stop" and row.answer:
            row.finish = "stop" if row.is_over else self._row_text(row).end(row.answer) or row.finish

    def _row_text(self, row: TextRow) -> RowText:
        if row.told is None:
            forced = row.matcher is not None
            row.told = RowText(self.tokenizer.detokenizer, row.stop, forced=forced, wording=row.wording)
        return row.told

    def _head_outputs(self, batch: MoondreamBatch) -> list[StepOutput | None]:
        """The heads' outputs for each row, each head run on the rows that need it; None where they are not finite."""
        rows, hidden, region = batch.rows, batch.hidden, self.net.region
        outputs = [StepOutput() for _ in rows]
        failed: set[int] = set()

        def needing(head: Head) -> list[int]:
            return [index for index, row in enumerate(rows) if head in row.heads]

        if indices := needing(Head.TOKEN):
            logits = self.net.text.logits(hidden[indices])
            if finding := [place for place, index in enumerate(indices) if isinstance(rows[index], PointRow)]:
                for place, chance in zip(finding, goes_on(logits[finding], self.config.tokenizer.eos_id), strict=True):
                    outputs[indices[place]].goes_on = chance
            ids = self._choose(logits, [rows[index] for index in indices], [0] * len(indices))
            for index, token in zip(indices, sampling.read_indices(ids), strict=True):
                if token is None:
                    failed.add(index)
                else:
                    outputs[index].token = token
        if indices := needing(Head.COORDINATE):
            bins = likeliest_bins(region.coordinate_logits(hidden[indices]), NEAR_COORDINATE)
            for index, found in zip(indices, bins, strict=True):
                if found is None:
                    failed.add(index)
                else:
                    outputs[index].coordinate, outputs[index].coordinate_chance = region.coordinate(found[0]), found[1]
        if indices := needing(Head.SIZE):
            pairs = likeliest_bins(region.size_logits(hidden[indices]).flatten(0, 1), NEAR_SIZE)
            for index, width, height in zip(indices, pairs[::2], pairs[1::2], strict=True):
                if width is None or height is None:
                    failed.add(index)
                else:
                    outputs[index].size = region.size(width[0]), region.size(height[0])
                    outputs[index].size_chance = width[1] * height[1]
        return [None if index in failed else output for index, output in enumerate(outputs)]
