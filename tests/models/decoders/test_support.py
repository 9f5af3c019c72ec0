"""What a decoder that is written out does not do is refused, and what it takes is what the library computes."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from transformers import (
    BlipTextConfig,
    BlipTextLMHeadModel,
    Gemma3ForCausalLM,
    Gemma3TextConfig,
    OPTConfig,
    OPTForCausalLM,
    Qwen2Config,
    Qwen2ForCausalLM,
    Qwen3Config,
    Qwen3ForCausalLM,
    T5Config,
    T5ForConditionalGeneration,
)

from looksee.core import errors
from looksee.models.core import masks
from looksee.models.core.batch_cache import BatchCache
from looksee.models.core.decoder import Decoder
from looksee.models.core.step_runner import StepRunner
from looksee.models.decoders.bert import BertDecoder
from looksee.models.decoders.gemma3 import Gemma3Decoder
from looksee.models.decoders.opt import OptDecoder
from looksee.models.decoders.qwen2 import Qwen2Decoder
from tests.models.core.cases import prefill_pass

SIZES = {"vocab_size": 40, "hidden_size": 32, "num_hidden_layers": 3, "num_attention_heads": 4}
GATED = SIZES | {"intermediate_size": 48, "num_key_value_heads": 2, "head_dim": 8, "max_position_embeddings": 64}
LENGTH, FED = 12, 7


def gemma3(**options: Any) -> Any:
    defaults: dict[str, Any] = {"sliding_window": 4, "layer_types": ["sliding_attention"] * 2 + ["full_attention"]}
    return Gemma3ForCausalLM(Gemma3TextConfig(**GATED | defaults | options))


def qwen2(**options: Any) -> Any:
    return Qwen2ForCausalLM(Qwen2Config(**GATED | options))


def opt(**options: Any) -> Any:
    return OPTForCausalLM(OPTConfig(**SIZES | {"ffn_dim": 48, "max_position_embeddings": 64} | options))


def blip(**options: Any) -> Any:
    sizes = SIZES | {"intermediate_size": 48, "encoder_hidden_size": 32, "max_position_embeddings": 64}
    return BlipTextLMHeadModel(BlipTextConfig(**sizes | options))


def qwen3() -> Any:
    return Qwen3ForCausalLM(Qwen3Config(**GATED))


def t5() -> Any:
    return T5ForConditionalGeneration(T5Config(d_model=32, d_kv=8, d_ff=48, num_layers=1, num_heads=4, vocab_size=40))


def written_out(net: Any) -> Decoder:
    """As the models do: BLIP-2 has whatever language model its checkpoint names, and so has InternVL."""
    if isinstance(net, Gemma3ForCausalLM):
        return Gemma3Decoder(net.model, net.lm_head)
    if isinstance(net, Qwen2ForCausalLM | Qwen3ForCausalLM):
        return Qwen2Decoder(net.model, net.lm_head)
    if isinstance(net, OPTForCausalLM | T5ForConditionalGeneration):
        return OptDecoder(net)
    return BertDecoder(net, cross_length=5)


def rope(rope_type: str, **parameters: Any) -> dict[str, Any]:
    return {"rope_type": rope_type, "rope_theta": 10000.0} | parameters


def of_both(**parameters: Any) -> dict[str, Any]:
    return {"full_attention": rope("default"), "sliding_attention": rope("default")} | parameters


YARN = rope("yarn", factor=2.0, original_max_position_embeddings=32)
LLAMA = rope("llama3", factor=2.0, original_max_position_embeddings=32, low_freq_factor=1.0, high_freq_factor=4.0)

REFUSED: dict[str, tuple[Callable[..., Any], dict[str, Any], str]] = {
    "capped attention": (gemma3, {"attn_logit_softcapping": 50.0}, "attn_logit_softcapping = 50.0"),
    "capped logits": (gemma3, {"final_logit_softcapping": 30.0}, "final_logit_softcapping = 30.0"),
    "biased attention": (gemma3, {"attention_bias": True}, "attention_bias = True"),
    "text that sees ahead": (gemma3, {"use_bidirectional_attention": True}, "use_bidirectional_attention = True"),
    "gemma's yarn": (gemma3, {"rope_parameters": of_both(full_attention=YARN)}, "rope_type = 'yarn'"),
    "gemma's near yarn": (gemma3, {"rope_parameters": of_both(sliding_attention=YARN)}, "rope_type = 'yarn'"),
    "gemma's partial rotation": (
        gemma3,
        {"rope_parameters": of_both(full_attention=rope("default", partial_rotary_factor=0.5))},
        "partial_rotary_factor = 0.5",
    ),
    "windows": (
        qwen2,
        {"use_sliding_window": True, "sliding_window": 4, "max_window_layers": 1},
        "layer_types = 'sliding_attention'",
    ),
    "windows by name": (
        qwen2,
        {"layer_types": ["full_attention"] * 2 + ["sliding_attention"]},
        "layer_types = 'sliding_attention'",
    ),
    "yarn": (qwen2, {"rope_parameters": YARN}, "rope_type = 'yarn'"),
    "llama's rotation": (qwen2, {"rope_parameters": LLAMA}, "rope_type = 'llama3'"),
    "partial rotation": (
        qwen2,
        {"rope_parameters": rope("default", partial_rotary_factor=0.5)},
        "partial_rotary_factor = 0.5",
    ),
    "a newer qwen": (qwen3, {}, "model_type = 'qwen3'"),
    "norms behind": (opt, {"do_layer_norm_before": False}, "do_layer_norm_before = False"),
    "no last norm": (opt, {"_remove_final_layer_norm": True}, "_remove_final_layer_norm = True"),
    "projections": (opt, {"word_embed_proj_dim": 16}, "word_embed_proj_dim = 16"),
    "t5": (t5, {}, "model_type = 't5'"),
    "an encoder": (blip, {"is_decoder": False}, "is_decoder = False"),
    "relative positions": (blip, {"position_embedding_type": "relative_key"}, "position_embedding_type = 'relative"),
}


@pytest.mark.parametrize("kind", REFUSED)
def test_what_is_not_written_out_is_refused(kind: str) -> None:
    made, options, reason = REFUSED[kind]
    with pytest.raises(errors.WeightsUnavailable, match=reason):
        written_out(made(**options))


def test_layers_of_a_type_that_is_new_are_refused() -> None:
    net = gemma3()
    net.config.layer_types = ["full_attention", "chunked_attention", "full_attention"]
    with pytest.raises(errors.WeightsUnavailable, match="layer_types = 'chunked_attention'"):
        written_out(net)


ACCEPTED: dict[str, tuple[Callable[..., Any], dict[str, Any]]] = {
    "gemma": (gemma3, {}),
    "gemma, scaled": (gemma3, {"rope_parameters": of_both(full_attention=rope("linear", factor=8.0))}),
    "gemma, dynamic": (gemma3, {"rope_parameters": of_both(full_attention=rope("dynamic", factor=2.0))}),
    "gemma without windows": (gemma3, {"layer_types": ["full_attention"] * 3}),
    "gemma with windows alone": (gemma3, {"layer_types": ["sliding_attention"] * 3}),
    "gemma, another activation": (gemma3, {"hidden_activation": "silu"}),
    "qwen": (qwen2, {}),
    "qwen, scaled": (qwen2, {"rope_parameters": rope("linear", factor=4.0)}),
    "qwen, dynamic": (qwen2, {"rope_parameters": rope("dynamic", factor=2.0)}),
    "qwen, another activation": (qwen2, {"hidden_act": "relu"}),
    "qwen, no activation": (qwen2, {"hidden_act": "linear"}),
    "qwen with windows for none": (qwen2, {"use_sliding_window": True, "sliding_window": 4, "max_window_layers": 3}),
    "opt": (opt, {}),
    "opt, another activation": (opt, {"activation_function": "gelu"}),
    "opt without biases": (opt, {"enable_bias": False}),
    "blip": (blip, {}),
    "blip, another activation": (blip, {"hidden_act": "gelu_new"}),
}


@pytest.mark.parametrize("kind", ACCEPTED)
@torch.inference_mode()
def test_what_is_taken_is_computed_as_the_library_does(kind: str) -> None:
    """Logits of a prompt's end and of further tokens, one at a time. A smaller window or an activation that is always
    the same would not pass.
    """
    torch.manual_seed(3)
    made, options = ACCEPTED[kind]
    net = made(**options).eval()
    for parameter in net.parameters():
        parameter.normal_(std=0.3)
    ids, states = torch.randint(3, 40, (2, LENGTH)), torch.randn(2, 5, 32)
    wanted = of_the_library(net, ids, states)
    assert torch.allclose(decoded(written_out(net), ids, states), wanted, rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize("kind", ["gemma", "qwen", "opt", "blip"])
@torch.inference_mode()
def test_bfloat16_is_as_near_to_float32_as_the_librarys(kind: str) -> None:
    """Gemma's is 1.19 times as far: the weights of its norms are rounded with the 1 that is added to them."""
    errors_of: dict[str, float] = {"own": 0, "library": 0}
    for seed in range(4):
        torch.manual_seed(seed)
        net = ACCEPTED[kind][0]().eval()
        for parameter in net.parameters():
            parameter.normal_(std=0.2).copy_(parameter.bfloat16())
        ids, states = torch.randint(3, 40, (8, LENGTH)), torch.randn(8, 5, 32).bfloat16()
        truth = of_the_library(net, ids, states.float())
        for parameter in net.parameters():  # and not the frequencies, as where a checkpoint is loaded
            parameter.data = parameter.bfloat16()
        errors_of["library"] += float((of_the_library(net, ids, states).float() - truth).norm() / truth.norm())
        errors_of["own"] += float((decoded(written_out(net), ids, states) - truth).norm() / truth.norm())
    assert 0 < errors_of["own"] < 1.3 * errors_of["library"]


def of_the_library(net: Any, ids: Tensor, states: Tensor) -> Tensor:
    """As `decoded`, by the library."""
    crossed = {"encoder_hidden_states": states, "is_decoder": True} if isinstance(net, BlipTextLMHeadModel) else {}
    logits: Tensor = net(input_ids=ids, **crossed).logits
    return logits[:, FED:]


@pytest.mark.parametrize("bias", [False, True])
@torch.inference_mode()
def test_layers_of_another_kind_are_called(bias: bool) -> None:
    """Qwen's products are added in place, by their weights; a layer that was replaced has its weights elsewhere."""
    torch.manual_seed(3)
    ids, states = torch.randint(3, 40, (2, LENGTH)), torch.empty(0)
    decoder = written_out(qwen2().eval())
    for name in ("out", "down"):
        for block in decoder.blocks:
            layer = getattr(block, name)
            if bias:
                layer.bias = nn.Parameter(torch.randn(layer.out_features))
    plain = decoded(decoder, ids, states)
    for name in ("out", "down"):
        for block in decoder.blocks:
            setattr(block, name, nn.Sequential(getattr(block, name)))
    assert torch.allclose(decoded(decoder, ids, states), plain, rtol=1e-4, atol=1e-4)


def decoded(decoder: Decoder, ids: Tensor, states: Tensor) -> Tensor:
    """Logits (rows, steps, vocabulary) of the tokens behind a prompt of `FED`."""
    dtype = decoder.embed(ids).dtype
    runner = StepRunner(decoder, device=torch.device("cpu"), dtype=dtype)
    cache = BatchCache(runner.storage, len(ids), LENGTH)
    if isinstance(decoder, BertDecoder):
        decoder.write_cross(states, cache.span())
    places = torch.arange(FED).expand(len(ids), -1)
    mask = lambda window: masks.additive(masks.causal(places, FED, window), dtype)  # noqa: E731
    decoder.fill(decoder.embed(ids[:, :FED]), prefill_pass(cache, FED, mask))
    logits = []
    for place in range(FED, LENGTH):
        hidden = runner.step(cache, decoder.embed(ids[:, place : place + 1]), [place] * len(ids))
        logits.append(decoder.logits(hidden))
    return torch.stack(logits, dim=1)
