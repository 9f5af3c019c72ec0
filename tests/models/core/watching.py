"""What a pass asks of a device, call by call: how many kernels, and whether one of them waits for the host."""

from __future__ import annotations

from collections import Counter
from typing import Any

import torch
from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves

from looksee.models.core.graphs import NoGraphs, Run

aten = torch.ops.aten
UPLOAD = aten.lift_fresh.default  # a tensor is made of numbers
# One call that devices have a kernel for, whatever it is made of elsewhere.
_WHOLE = {aten.scaled_dot_product_attention.default, aten.rms_norm.default}
# DeviceCalls that launch nothing, though their schema does not say that they return a view.
_FREE = {aten._unsafe_view.default, aten.empty.memory_format, aten.empty_like.default, aten.new_empty.default}
_INDEXING = {aten.index.Tensor, aten.index_put.default, aten.index_put_.default, aten._index_put_impl_.default}


class DeviceCalls(TorchDispatchMode):  # type: ignore[no-untyped-call]
    """The calls within, composite ones taken apart. `made` has each with its tensors' shapes and its numbers.

    Raises AssertionError at a call whose outcome the host must know before it can go on, at a tensor of the CPU's among
    those of another device, and, unless they are `uploads`, at a tensor that is made of the host's numbers.
    """

    def __init__(self, *, uploads: bool = False) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self._uploads = uploads
        self.made: list[tuple[Any, ...]] = []

    def __enter__(self) -> DeviceCalls:
        super().__enter__()  # type: ignore[no-untyped-call]
        return self

    @property
    def kernels(self) -> Counter[str]:
        """How often each kernel is launched: the calls that are no views."""
        return Counter(str(func) for func, *_ in self.made if not is_free(func))

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        kwargs = kwargs or {}
        if func not in _WHOLE:
            with self:
                taken_apart = func.decompose(*args, **kwargs)
            if taken_apart is not NotImplemented:
                return taken_apart
        leaves = tree_leaves((args, kwargs))
        assert not waits(func, args), f"the host waits for {func}"
        assert self._uploads or func is not UPLOAD, "numbers of the host's are handed over"
        devices = {leaf.device for leaf in leaves if isinstance(leaf, Tensor)}
        assert len(devices) < 2, f"{func} is given tensors of {devices}"
        self.made.append((func, *(_told(leaf) for leaf in leaves)))
        return func(*args, **kwargs)


def waits(func: Any, args: Any) -> bool:
    """Whether the host must know what a tensor holds, or how many are chosen, before it can make the next call."""
    if func in _INDEXING:
        return any(index is not None and index.dtype in (torch.bool, torch.uint8) for index in args[1])
    return not {torch.Tag.data_dependent_output, torch.Tag.dynamic_output_shape}.isdisjoint(func.tags)


def is_free(func: Any) -> bool:
    """Whether a call launches nothing: it returns a view, or memory as it is."""
    returned = func._schema.returns
    view = bool(returned) and all(one.alias_info is not None and not one.alias_info.is_write for one in returned)
    return view or func in _FREE


def _told(leaf: Any) -> Any:
    return (tuple(leaf.shape), leaf.stride(), leaf.dtype) if isinstance(leaf, Tensor) else leaf


class Watched(NoGraphs):
    """Runs each captured step as it is, and compares its calls with those of its first run."""

    def __init__(self) -> None:
        self.captured = self.compared = 0

    def capture(self, run: Run) -> Run:
        self.captured += 1
        first: list[tuple[Any, ...]] = []

        def watched() -> None:
            with DeviceCalls() as calls:
                run()
            if first:
                assert calls.made == first
                self.compared += 1
            first[:] = calls.made

        return watched
