"""Every rule, in the order in which they are tried at a node.

Each subject lists its own; order matters only where two rules share a root, and such pairs carry a
comment there.
"""

from __future__ import annotations

from typing import Any

from ncgopt.rewrite.rule import Rule
from ncgopt.rules import (
    activation,
    algebra,
    attention,
    convolution,
    layout,
    linear,
    normalization,
    quantized,
    rotary,
    shape,
)

RULES: tuple[Rule[Any], ...] = (
    # Before everything that may fuse the parts of an attention into something else.
    *attention.RULES,
    *shape.RULES,
    *rotary.RULES,
    *normalization.RULES,
    *algebra.RULES,
    *convolution.RULES,
    *linear.RULES,
    *layout.RULES,  # after linear: a Gemm reads an operand transposed at no cost
    *activation.RULES,
    *quantized.RULES,
)

__all__ = ["RULES"]
