"""Each model as the library alone runs it, one job at a time: what the plain server serves, and the tests' truth."""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch
from PIL import Image
from transformers import (
    AutoModelForImageTextToText,
    AutoProcessor,
    AutoTokenizer,
    GotOcr2ImageProcessorPil,
    InternVLProcessor,
    ProcessorMixin,
)

from looksee.models.registry import REGISTRY, prompts


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


class Library:
    """A checkpoint behind the library's processor and `generate`."""

    def __init__(self, name: str, directory: Path, *, max_tiles: int = 1) -> None:
        self.name, self.max_tiles = name, max_tiles
        self.net = AutoModelForImageTextToText.from_pretrained(directory, dtype=torch.float32)
        if name == "intern_vlm":
            pixels = GotOcr2ImageProcessorPil.from_pretrained(directory)
            words = AutoTokenizer.from_pretrained(directory)
            self.processor: Any = PicturesOnly(pixels, words, self.net.config.image_seq_length)
        else:
            self.processor = AutoProcessor.from_pretrained(directory, backend="pil")

    def inputs(self, pictures: Sequence[Image.Image], prompt: str) -> dict[str, Any]:
        """What the library's processor makes of RGB pictures and the words of `looksee.models.registry.prompts`."""
        if REGISTRY[self.name].continues_prompt:
            text = {"text": prompt} if prompt or self.name == "blip2" else {}
            return dict(self.processor(images=pictures[0], return_tensors="pt", **text))
        return self._chat_inputs(_asked(pictures, prompt), tiles=bool(pictures))

    def tokens(self, pictures: Sequence[Image.Image], prompt: str, max_new_tokens: int) -> list[int]:
        """The new tokens of a greedy `generate`."""
        inputs = self.inputs(pictures, prompt)
        out = self.net.generate(**inputs, max_new_tokens=max_new_tokens, do_sample=False)
        tokens: list[int] = out[0, self._before(inputs, prompt) :].tolist()
        return tokens

    def caption(self, picture: Image.Image) -> str:
        """A caption with the model's default prompt."""
        tokens = self.tokens([picture], prompts.caption(self.name), 50)
        text: str = self.processor.decode(tokens, skip_special_tokens=True)
        return text.strip()

    def captions(self, pictures: Sequence[Image.Image]) -> list[str]:
        """Captions of several pictures by one `generate`: prompts of one length, so none is padded.

        With padding the library's own defaults are wrong for some models: BLIP and BLIP-2 pad behind the prompt.
        """
        prompt = prompts.caption(self.name)
        if REGISTRY[self.name].continues_prompt:
            text = {"text": [prompt] * len(pictures)} if prompt or self.name == "blip2" else {}
            inputs = dict(self.processor(images=list(pictures), return_tensors="pt", **text))
        else:
            inputs = self._chat_inputs([_asked([picture], prompt) for picture in pictures])
        out = self.net.generate(**inputs, max_new_tokens=50, do_sample=False)
        new = out[:, self._before(inputs, prompt) :]
        texts: list[str] = self.processor.batch_decode(new, skip_special_tokens=True)
        return [text.strip() for text in texts]

    def _before(self, inputs: dict[str, Any], prompt: str) -> int:
        """The number of a prompt's tokens in what `generate` returns."""
        if self.name == "blip":  # whose generate counts the prompt from [DEC] and without its last column
            return inputs["input_ids"].shape[1] - 1 if prompt else 1
        length: int = inputs["input_ids"].shape[1]
        return length

    def _chat_inputs(self, chats: Any, *, tiles: bool = True) -> dict[str, Any]:
        options: dict[str, Any] = {}
        if self.name == "intern_vlm" and tiles:
            options["crop_to_patches"] = self.max_tiles > 1
            if self.max_tiles > 1:
                options["max_patches"] = self.max_tiles
        return dict(
            self.processor.apply_chat_template(
                chats,
                add_generation_prompt=True,
                tokenize=True,
                return_dict=True,
                return_tensors="pt",
                processor_kwargs=options,
            )
        )


def _asked(pictures: Sequence[Image.Image], prompt: str) -> list[dict[str, Any]]:
    """A chat of one turn."""
    content: list[dict[str, Any]] = [{"type": "image", "image": picture} for picture in pictures]
    content.append({"type": "text", "text": prompt})
    return [{"role": "user", "content": content}]
