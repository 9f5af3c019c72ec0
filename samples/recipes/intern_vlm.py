"""How the InternVL sample weights are made: a small InternVL3 of the published architecture that knows scenes."""

from __future__ import annotations

from pathlib import Path

from torch import Tensor, nn
from transformers import (
    GotOcr2ImageProcessorPil,
    InternVLConfig,
    InternVLForConditionalGeneration,
    Qwen2Tokenizer,
)

from looksee.models.transformers.chat import Chat
from looksee.models.transformers.images.pixels import Pixels
from looksee.models.transformers.intern_vlm import chat
from samples.recipes import bpe, chats, language, tower
from samples.recipes.tower import GRID, HEADS, IMAGE_SIZE, INNER_WIDTH, LAYERS, PATCH_SIZE, WIDTH
from samples.world.exercises import Exercise

STEPS, BATCH_SIZE = 1800, 24
IMAGE_TOKENS = (GRID // 2) ** 2
_MEAN, _STD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)
_INITIAL_STD = 0.06
_TEMPLATE = """\
{%- for message in messages -%}
{{ '<|im_start|>' + message['role'] + '\\n' }}
{%- if message['content'] is string -%}
{{ message['content'] }}
{%- else -%}
{%- for part in message['content'] -%}
{{ '<IMG_CONTEXT>\\n' if part['type'] == 'image' else part['text'] }}
{%- endfor -%}
{%- endif -%}
{{ '<|im_end|>\\n' }}
{%- endfor -%}
{%- if add_generation_prompt -%}
{{ '<|im_start|>assistant\\n' }}
{%- endif -%}
"""


def tokenizer() -> Qwen2Tokenizer:
    vocabulary, merges = bpe.with_words(bpe.byte_level(590), bpe.JSON_WORDS, space="\u0120")
    return Qwen2Tokenizer(
        vocab=vocabulary,
        merges=merges,
        eos_token="<|im_end|>",
        pad_token="<|endoftext|>",
        extra_special_tokens={
            "start_image_token": "<img>",
            "end_image_token": "</img>",
            "context_image_token": "<IMG_CONTEXT>",
            "video_token": "<video>",
            "turn_token": "<|im_start|>",
        },
        model_max_length=1024,
    )


def image_processor() -> GotOcr2ImageProcessorPil:
    return GotOcr2ImageProcessorPil(
        size={"height": IMAGE_SIZE, "width": IMAGE_SIZE}, image_mean=_MEAN, image_std=_STD, crop_to_patches=False
    )


def config() -> InternVLConfig:
    words = tokenizer()
    return InternVLConfig(
        vision_config={
            "hidden_size": WIDTH,
            "num_hidden_layers": LAYERS,
            "num_attention_heads": HEADS,
            "intermediate_size": INNER_WIDTH,
            "attention_bias": True,
            "image_size": IMAGE_SIZE,
            "patch_size": PATCH_SIZE,
            "layer_scale_init_value": 1.0,
            "initializer_range": _INITIAL_STD,
        },
        text_config={
            "model_type": "qwen2",
            "vocab_size": len(words),
            "hidden_size": WIDTH,
            "intermediate_size": INNER_WIDTH,
            "num_hidden_layers": 3,
            "num_attention_heads": 4,
            "num_key_value_heads": 2,
            "max_position_embeddings": 1024,
            "initializer_range": _INITIAL_STD,
            "eos_token_id": words.eos_token_id,
            "bos_token_id": None,
            "pad_token_id": words.pad_token_id,
            "tie_word_embeddings": False,
        },
        image_token_id=words.context_image_token_id,
        image_seq_length=IMAGE_TOKENS,
        tie_word_embeddings=False,
    )


class InternVlmLesson(language.LanguageLesson):
    def __init__(self) -> None:
        super().__init__()
        self.model = InternVLForConditionalGeneration(config())
        self.image_token = self.model.config.image_token_id
        words = tokenizer()
        self.know(lambda word: int(words.convert_tokens_to_ids(f"\u0120{word}")))
        names = {
            "embeddings.class_embedding": "embeddings.cls_token",
            "embeddings.patch_embedding": "embeddings.patch_embeddings.projection",
            "embeddings.position_embedding": "embeddings.position_embeddings",
            "encoder.layers.": "encoder.layer.",
            "self_attn.projection": "attention.projection_layer",
            "self_attn": "attention",
            "layer_norm1": "layernorm_before",
            "layer_norm2": "layernorm_after",
        }
        learnt = {}
        for name, part in tower.split(tower.learnt(_MEAN, _STD)).items():
            for old, new in names.items():
                name = name.replace(old, new)
            learnt[name] = part
        learnt.pop("post_layernorm.weight"), learnt.pop("post_layernorm.bias")  # the projector begins with its own
        missing, unexpected = self.tower().load_state_dict(learnt, strict=False)
        assert not unexpected, unexpected
        assert all("lambda" in name for name in missing), missing

    def tower(self) -> nn.Module:
        part: nn.Module = self.model.model.vision_tower
        return part

    def see(self, pixel_values: Tensor) -> tuple[Tensor, Tensor]:
        seen = self.model.model.get_image_features(pixel_values)
        return seen.last_hidden_state[:, 1:], seen.pooler_output

    def read(self, embeddings: Tensor, positions: Tensor, sees: Tensor, pictures: Tensor) -> Tensor:
        states: Tensor = self.model.model.language_model(
            inputs_embeds=embeddings,
            attention_mask=language.additive(sees),
            position_ids=positions,
            use_cache=False,
        ).last_hidden_state
        return states

    def begin(self, directory: Path) -> None:
        chats.begin(self.model, tokenizer(), directory)

    def save(self, directory: Path) -> None:
        """Write the checkpoint in the published layout; what exists in training only is left behind."""
        self.model.generation_config.update(eos_token_id=self.model.config.text_config.eos_token_id)
        words = tokenizer()
        chats.save_chat(
            directory,
            self.model,
            words,
            _TEMPLATE,
            image_processor(),
            processor="InternVLProcessor",
            tokens=IMAGE_TOKENS,
        )


class InternVlmCollate(language.LanguageCollate):
    def __init__(self) -> None:
        words = tokenizer()
        template: Chat = chat(words, _TEMPLATE)

        def ids(exercise: Exercise) -> list[int]:
            return template.ids("", [IMAGE_TOKENS] * len(exercise.pictures), chats.turns("intern_vlm", exercise))

        super().__init__(
            Pixels(image_processor()),
            ids,
            lambda exercise: [*words(exercise.answer).input_ids, words.eos_token_id],
            caption_words=language.instruction,
            chats=True,
            shares=lambda exercise: chats.shares(words, exercise),
        )


LESSON, COLLATE = InternVlmLesson, InternVlmCollate
