"""How the BLIP-2 sample weights are made: a small BLIP-2 with an OPT of the published architecture that knows scenes.

The Q-Former is what is new beside the others. In training alone its first queries also say which coloured shape is the
first, the second and the third from the left; without that it takes it long to look at anything.
"""

from __future__ import annotations

from pathlib import Path

import torch
from tokenizers.processors import TemplateProcessing
from torch import Tensor, nn
from transformers import (
    AddedToken,
    Blip2Config,
    Blip2ForConditionalGeneration,
    Blip2Processor,
    BlipImageProcessorPil,
    GPT2Tokenizer,
)

from looksee.models.transformers.images.pixels import Pixels
from samples.recipes import bpe, chats, language, tower
from samples.recipes.language import Batch
from samples.recipes.tower import CLIP_MEAN, CLIP_STD, HEADS, IMAGE_SIZE, INNER_WIDTH, LAYERS, PATCH_SIZE, WIDTH
from samples.world import exercises
from samples.world.exercises import Exercise
from samples.world.scenes import MAX_THINGS

STEPS, BATCH_SIZE = 1600, 24
QUERIES = 16
_INITIAL_STD = 0.06
_END = "\u010a"  # a line's end in the byte-level alphabet: with it OPT ends an answer
_SPECIAL = ("<s>", "<pad>", "</s>", "<unk>")


def tokenizer() -> GPT2Tokenizer:
    learnt, merges = bpe.byte_level(500)
    words = GPT2Tokenizer(
        vocab=bpe.behind(_SPECIAL, learnt),
        merges=merges,
        bos_token="</s>",
        eos_token="</s>",
        unk_token="</s>",
        pad_token="<pad>",
        model_max_length=256,
    )
    words.add_tokens([AddedToken("<image>", normalized=False, special=True)], special_tokens=True)
    start = ("</s>", words.bos_token_id)
    words.backend_tokenizer.post_processor = TemplateProcessing(single="</s> $A", special_tokens=[start])
    return words


def image_processor() -> BlipImageProcessorPil:
    return BlipImageProcessorPil(size={"height": IMAGE_SIZE, "width": IMAGE_SIZE})


def config() -> Blip2Config:
    words = tokenizer()
    return Blip2Config(
        vision_config={
            "hidden_size": WIDTH,
            "num_hidden_layers": LAYERS,
            "num_attention_heads": HEADS,
            "intermediate_size": INNER_WIDTH,
            "image_size": IMAGE_SIZE,
            "patch_size": PATCH_SIZE,
            "initializer_range": _INITIAL_STD,
        },
        qformer_config={
            "hidden_size": WIDTH,
            "num_hidden_layers": 2,
            "num_attention_heads": HEADS,
            "intermediate_size": INNER_WIDTH,
            "encoder_hidden_size": WIDTH,
            "cross_attention_frequency": 1,
            "initializer_range": _INITIAL_STD,
            "hidden_dropout_prob": 0.0,
            "attention_probs_dropout_prob": 0.0,
        },
        text_config={
            "model_type": "opt",
            "vocab_size": len(words),
            "hidden_size": WIDTH,
            "word_embed_proj_dim": WIDTH,
            "ffn_dim": INNER_WIDTH,
            "num_hidden_layers": 3,
            "num_attention_heads": 4,
            "max_position_embeddings": 256,
            "init_std": _INITIAL_STD,
            "dropout": 0.0,
            "bos_token_id": words.bos_token_id,
            "pad_token_id": words.pad_token_id,
            "eos_token_id": words.convert_tokens_to_ids(_END),
        },
        num_query_tokens=QUERIES,
        image_token_index=words.convert_tokens_to_ids("<image>"),
    )


class Blip2Lesson(language.LanguageLesson):
    def __init__(self) -> None:
        super().__init__()
        self.model = Blip2ForConditionalGeneration(config())
        self.image_token = self.model.config.image_token_id
        nn.init.normal_(self.model.query_tokens, std=1.0)
        words = tokenizer()
        self.know(lambda word: int(words.convert_tokens_to_ids(f"\u0120{word}")))
        self.tower().load_state_dict(tower.learnt(CLIP_MEAN, CLIP_STD))

    def tower(self) -> nn.Module:
        part: nn.Module = self.model.vision_model
        return part

    def see(self, pixel_values: Tensor) -> tuple[Tensor, Tensor]:
        seen = self.model.get_image_features(pixel_values)
        return seen.last_hidden_state[:, 1:], seen.pooler_output

    def hint(self, features: Tensor, batch: Batch) -> Tensor:
        return super().hint(features[:, :MAX_THINGS], batch)

    def seen_kinds(self, labels: Tensor) -> Tensor:
        kinds, places = labels.unbind(1)
        return torch.stack([(kinds * (places == place)).amax(-1) for place in range(1, MAX_THINGS + 1)], dim=1)

    def read(self, embeddings: Tensor, positions: Tensor, sees: Tensor, pictures: Tensor) -> Tensor:
        states: Tensor = self.model.language_model.model(
            inputs_embeds=embeddings,
            attention_mask=language.additive(sees),
            position_ids=positions,
            use_cache=False,
        ).last_hidden_state
        return states

    def save(self, directory: Path) -> None:
        """Write the checkpoint in the published layout; what exists in training only is left behind."""
        self.model.save_pretrained(directory)
        Blip2Processor(image_processor(), tokenizer(), num_query_tokens=QUERIES).save_pretrained(directory)


class Blip2Collate(language.LanguageCollate):
    def __init__(self) -> None:
        words = tokenizer()
        picture_token = config().image_token_id

        def ids(exercise: Exercise) -> list[int]:
            return [picture_token] * QUERIES + list(words(chats.asked("blip2", exercise)).input_ids)

        def answer(exercise: Exercise) -> list[int]:
            space = " " if chats.asked("blip2", exercise) else ""
            return list(words(f"{space}{exercise.answer}\n", add_special_tokens=False).input_ids)

        super().__init__(Pixels(image_processor()), ids, answer, caption_words=exercises.beginning, chats=False)


LESSON, COLLATE = Blip2Lesson, Blip2Collate
