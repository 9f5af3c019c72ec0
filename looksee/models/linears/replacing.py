"""Replacing the linear layers of a loaded model, one at a time, so that memory holds one of them twice at most."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Protocol, runtime_checkable

from torch import Tensor, nn

from looksee.models.arithmetic.rules import Arithmetic
from looksee.models.linears import blocked
from looksee.models.linears.blocked import BlockedLinear
from looksee.models.linears.int8 import Int8Linear
from looksee.models.linears.packed import PackedLinear


@runtime_checkable
class HasNetworks(Protocol):
    """A model that says which networks it runs. Of one that does not, all linear layers stay plain."""

    def networks(self) -> tuple[nn.Module, nn.Module]:
        """The language model that decodes, and all there is; either may have modules of the other."""
        ...


def replace_linears(model: HasNetworks, arithmetic: Arithmetic) -> None:
    """Replace the model's `nn.Linear` layers as `arithmetic` says. Frees the original weights.

    A layer that several modules share is replaced by one in all of them. A weight that a head shares with an embedding
    stays the embedding's, and the head has a copy. Subclasses of `nn.Linear` stay: what they are for is not known here;
    and so do those to be blocked where that is not possible.
    """
    if arithmetic.linears == "plain":
        return
    decoder, whole = model.networks()
    decoding = {id(module) for module in decoder.modules()}
    blocks = blocked.available()
    for linear, places in _linears(decoder, whole):
        replacement: PackedLinear
        if arithmetic.linears == "int8" and (not arithmetic.amx or id(linear) in decoding):
            replacement = Int8Linear(linear)
        elif blocks:
            replacement = BlockedLinear(linear)
        else:
            continue
        for parent, name in places:
            setattr(parent, name, replacement)


def _linears(*networks: nn.Module) -> Iterator[tuple[nn.Linear, list[tuple[nn.Module, str]]]]:
    """Each plain linear layer with the modules that have it, and by which names. Keeps none that it has yielded."""
    found: dict[int, tuple[nn.Linear, list[tuple[nn.Module, str]]]] = {}
    for parent in {id(module): module for network in networks for module in network.modules()}.values():
        for name, child in parent._modules.items():
            if type(child) is nn.Linear:
                found.setdefault(id(child), (child, []))[1].append((parent, name))
    while found:
        yield found.pop(next(iter(found)))


def weight_bytes(model: HasNetworks) -> int:
    """The bytes of all weights, each memory counted once."""
    tensors: dict[Any, int] = {}
    for network in model.networks():
        for module in network.modules():
            own: list[Tensor] = [*module.parameters(recurse=False), *module.buffers(recurse=False)]
            tensors |= {tensor.data_ptr(): tensor.nbytes for tensor in own if tensor.nbytes}
            if isinstance(module, PackedLinear):
                tensors[id(module)] = module.packed_bytes
    return sum(tensors.values())
