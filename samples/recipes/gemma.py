"""How the Gemma sample weights are made: a small Gemma 3 of the published architecture that knows scenes."""

from __future__ import annotations

from pathlib import Path

from torch import Tensor, nn
from transformers import Gemma3Config, Gemma3ForConditionalGeneration, Gemma3ImageProcessorPil, GemmaTokenizer

from looksee.models.core import masks
from looksee.models.transformers.gemma import chat
from looksee.models.transformers.images.pixels import Pixels
from samples.recipes import bpe, chats, language, tower
from samples.recipes.tower import GRID, HEADS, IMAGE_SIZE, INNER_WIDTH, LAYERS, PATCH_SIZE, WIDTH
from samples.world.exercises import Exercise

STEPS, BATCH_SIZE = 1800, 24
IMAGE_TOKENS = (GRID // 2) ** 2
_MEAN, _STD = (0.5, 0.5, 0.5), (0.5, 0.5, 0.5)
_INITIAL_STD = 0.06
_HEAD_WIDTH = 32
_SPECIAL = ("<pad>", "<eos>", "<bos>", "<unk>", "<mask>")
_TEMPLATE = """\
{{ bos_token }}
{%- set told = messages[0]['role'] == 'system' -%}
{%- for message in (messages[1:] if told else messages) -%}
{%- if message['role'] == 'system' -%}{{ raise_exception('Instructions come first.') }}{%- endif -%}
{{ '<start_of_turn>' + ('model' if message['role'] == 'assistant' else message['role']) + '\\n' }}
{{- messages[0]['content'][0]['text'] + '\\n\\n' if told and loop.first -}}
{%- if message['content'] is string -%}
{{ message['content'] | trim }}
{%- else -%}
{%- for part in message['content'] -%}
{{ '<start_of_image>' if part['type'] == 'image' else part['text'] | trim }}
{%- endfor -%}
{%- endif -%}
{{ '<end_of_turn>\\n' }}
{%- endfor -%}
{%- if add_generation_prompt -%}
{{ '<start_of_turn>model\\n' }}
{%- endif -%}
"""


def tokenizer() -> GemmaTokenizer:
    learnt, merges = bpe.with_words(bpe.sentence_piece(600), bpe.JSON_WORDS, space="\u2581")
    return GemmaTokenizer(
        vocab=bpe.behind(_SPECIAL, learnt),
        merges=merges,
        extra_special_tokens={
            "boi_token": "<start_of_image>",
            "eoi_token": "<end_of_image>",
            "image_token": "<image_soft_token>",
            "start_of_turn_token": "<start_of_turn>",
            "end_of_turn_token": "<end_of_turn>",
        },
        model_max_length=1024,
    )


def image_processor() -> Gemma3ImageProcessorPil:
    return Gemma3ImageProcessorPil(size={"height": IMAGE_SIZE, "width": IMAGE_SIZE}, image_mean=_MEAN, image_std=_STD)


def config() -> Gemma3Config:
    words = tokenizer()
    return Gemma3Config(
        vision_config={
            "model_type": "siglip_vision_model",
            "hidden_size": WIDTH,
            "num_hidden_layers": LAYERS,
            "num_attention_heads": HEADS,
            "intermediate_size": INNER_WIDTH,
            "image_size": IMAGE_SIZE,
            "patch_size": PATCH_SIZE,
            "vision_use_head": False,
        },
        text_config={
            "vocab_size": len(words),
            "hidden_size": WIDTH,
            "intermediate_size": INNER_WIDTH,
            "num_hidden_layers": 3,
            "num_attention_heads": 4,
            "num_key_value_heads": 2,
            "head_dim": _HEAD_WIDTH,
            "query_pre_attn_scalar": _HEAD_WIDTH,
            "max_position_embeddings": 1024,
            "sliding_window": 64,
            "layer_types": ["sliding_attention", "full_attention", "full_attention"],
            "initializer_range": _INITIAL_STD,
            "pad_token_id": words.pad_token_id,
            "bos_token_id": words.bos_token_id,
            "eos_token_id": words.eos_token_id,
        },
        mm_tokens_per_image=IMAGE_TOKENS,
        boi_token_index=words.boi_token_id,
        eoi_token_index=words.eoi_token_id,
        image_token_index=words.image_token_id,
        initializer_range=_INITIAL_STD,
    )


class GemmaLesson(language.LanguageLesson):
    def __init__(self) -> None:
        super().__init__()
        self.model = Gemma3ForConditionalGeneration(config())
        self.image_token = self.model.config.image_token_id
        words = tokenizer()
        self.know(lambda word: int(words.convert_tokens_to_ids(f"\u2581{word}")))
        nn.init.normal_(self.model.model.multi_modal_projector.mm_input_projection_weight, std=_INITIAL_STD)
        learnt = {}
        for name, part in tower.split(tower.learnt(_MEAN, _STD)).items():
            learnt[name.replace("self_attn.projection", "self_attn.out_proj")] = part
        del learnt["embeddings.class_embedding"]  # this tower has none
        learnt["embeddings.position_embedding.weight"] = learnt.pop("embeddings.position_embedding")[0, 1:]
        own = self.tower().state_dict()
        prefix = "vision_model." if any(name.startswith("vision_model.") for name in own) else ""
        self.tower().load_state_dict({prefix + name: part for name, part in learnt.items()})

    def tower(self) -> nn.Module:
        part: nn.Module = self.model.model.vision_tower
        return part

    def see(self, pixel_values: Tensor) -> tuple[Tensor, Tensor]:
        seen = self.model.model.get_image_features(pixel_values)
        return seen.last_hidden_state, seen.pooler_output

    def read(self, embeddings: Tensor, positions: Tensor, sees: Tensor, pictures: Tensor) -> Tensor:
        sees = sees | masks.same_image(pictures)
        near = (positions[:, :, None] - positions[:, None, :]) < self.model.config.text_config.sliding_window
        states: Tensor = self.model.model.language_model(
            inputs_embeds=embeddings,
            attention_mask={
                "full_attention": language.additive(sees),
                "sliding_attention": language.additive(sees & near),
            },
            position_ids=positions,
            use_cache=False,
        ).last_hidden_state
        return states

    def begin(self, directory: Path) -> None:
        chats.begin(self.model, tokenizer(), directory)

    def save(self, directory: Path) -> None:
        """Write the checkpoint in the published layout; what exists in training only is left behind."""
        words = tokenizer()
        self.model.generation_config.update(eos_token_id=[words.eos_token_id, words.end_of_turn_token_id])
        chats.save_chat(
            directory, self.model, words, _TEMPLATE, image_processor(), processor="Gemma3Processor", tokens=IMAGE_TOKENS
        )


class GemmaCollate(language.LanguageCollate):
    def __init__(self) -> None:
        words = tokenizer()
        template = chat(words, _TEMPLATE)

        def ids(exercise: Exercise) -> list[int]:
            return template.ids("", [IMAGE_TOKENS] * len(exercise.pictures), chats.turns("gemma", exercise))

        super().__init__(
            Pixels(image_processor()),
            ids,
            lambda exercise: [*words(exercise.answer, add_special_tokens=False).input_ids, words.end_of_turn_token_id],
            caption_words=language.instruction,
            chats=True,
            shares=lambda exercise: chats.shares(words, exercise),
        )


LESSON, COLLATE = GemmaLesson, GemmaCollate
