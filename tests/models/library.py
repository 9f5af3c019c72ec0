"""Each model as the library alone runs it, one job at a time: the truth that batches are compared with."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import torch
from transformers import AutoProcessor, AutoTokenizer, GotOcr2ImageProcessorPil, InternVLProcessor, ProcessorMixin

from models.base import Row
from vision.images import decode
from vision.tasks import Job


class PicturesOnly(InternVLProcessor):  # type: ignore[misc]
    """The library's InternVL processor without its video part, which would want torchvision."""

    def __init__(self, image_processor: Any, tokenizer: Any, image_seq_length: int) -> None:
        ProcessorMixin.__init__(self, image_processor, tokenizer, chat_template=tokenizer.chat_template)
        self.image_seq_length = image_seq_length
        self.start_image_token, self.end_image_token = tokenizer.start_image_token, tokenizer.end_image_token
        self.start_image_token_id, self.end_image_token_id = (
            tokenizer.start_image_token_id,
            tokenizer.end_image_token_id,
        )
        self.image_token, self.image_token_id = tokenizer.context_image_token, tokenizer.context_image_token_id
        self.video_token = None
        self.multimodal_pattern = re.compile(f"(?P<image>{re.escape(self.image_token)})")


class Alone:
    """The library's processor and `generate` for one checkpoint, beside our model of it."""

    def __init__(self, name: str, directory: Path, model: Any) -> None:
        self.name, self.model = name, model
        if name == "intern_vlm":
            pixels = GotOcr2ImageProcessorPil.from_pretrained(directory)
            words = AutoTokenizer.from_pretrained(directory)
            self.processor: Any = PicturesOnly(pixels, words, model.tile_tokens)
        else:
            self.processor = AutoProcessor.from_pretrained(directory, backend="pil")

    def inputs(self, job: Job) -> dict[str, Any]:
        """What the library's processor makes of a job."""
        pictures = [decode(image) for image in job.images]
        if self.name in ("blip", "blip2"):
            text = {"text": job.prompt} if job.prompt or self.name == "blip2" else {}
            return dict(self.processor(images=pictures[0], return_tensors="pt", **text))
        content: list[dict[str, Any]] = [{"type": "image", "image": picture} for picture in pictures]
        content.append({"type": "text", "text": job.prompt})
        options = {}
        if self.name == "intern_vlm" and pictures:
            tiled = self.model.max_tiles > 1
            options = {"crop_to_patches": tiled, **({"max_patches": self.model.max_tiles} if tiled else {})}
        return dict(
            self.processor.apply_chat_template(
                [{"role": "user", "content": content}],
                add_generation_prompt=True,
                tokenize=True,
                return_dict=True,
                return_tensors="pt",
                processor_kwargs=options,
            )
        )

    def tokens(self, job: Job, row: Row) -> list[int]:
        """The new tokens of the library's own greedy `generate`, up to and with the one that ends the answer."""
        inputs = self.inputs(job)
        skipped = row.prompt_tokens if self.name == "blip" else inputs["input_ids"].shape[1]
        net = self.model.net
        with torch.inference_mode():
            out = (
                net.generate(
                    **inputs, max_new_tokens=row.max_new_tokens, do_sample=False, eos_token_id=sorted(self.model.ends)
                )
                if self.name != "blip"
                else net.generate(**inputs, max_new_tokens=row.max_new_tokens, do_sample=False)
            )
        tokens: list[int] = out[0, skipped:].tolist()
        for place, token in enumerate(tokens):
            if token in self.model.ends:
                return tokens[: place + 1]
        return tokens
