"""Whether this CPU sums products of 8 bits without saturating, which tests of their values need."""

from __future__ import annotations

import pytest
import torch

_SUMS = ("avx512_vnni", "avx_vnni", "amx_int8")
SUMS_EXACTLY = any(torch.cpu.get_capabilities().get(name) for name in _SUMS)
needs_vnni = pytest.mark.skipif(not SUMS_EXACTLY, reason="sums of 8-bit products saturate on this CPU")
