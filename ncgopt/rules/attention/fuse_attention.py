"""Fuse attention written in pieces into ONNX's Attention."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import onnx_ir as ir

from ncgopt import facts
from ncgopt.facts.rounding import attribute
from ncgopt.rewrite import Claim, Pays, Requires, Rule, Tape
from ncgopt.rules.attention import _result
from ncgopt.rules.attention._additive import additive_mask, bounds_of, can_be_additive, spelled_out
from ncgopt.rules.attention._attention import Attention
from ncgopt.rules.attention._heads import Heads, ungrouped
from ncgopt.rules.attention._masks import Selected, as_selection
from ncgopt.rules.attention._result import SCALE_FITS, Form, Match

# What ONNX Runtime's CPU provider has kernels for (tried with 1.32).
_KERNELS = frozenset({ir.DataType.FLOAT, ir.DataType.FLOAT16})
_MATRIX = 2


class FuseAttention(Rule[Match]):
    """`Softmax(scale * Q K^T + mask) V` becomes `Attention(Q, K, V, mask)`.

    What is found is what `fuse-multi-head-attention` finds. Where queries, keys and values are all packed,
    `(batch, length, heads * size)`, they go in so; otherwise as `(batch, heads, length, size)`. Keys and
    values of which each head serves several queries go in before they are repeated.

    A row whose mask is minus infinity throughout gives zero, just as a model does that replaces the NaN
    of such a row (PyTorch's scaled_dot_product_attention). A row of finite numbers is no such row, however
    low they are; ONNX Runtime takes the lowest number there is for minus infinity, so that it goes in as
    the next higher one.

    Holds where queries and keys are finite, where the original itself gives no NaN, and where no size is
    0: ONNX Runtime's kernel refuses empty tensors.

    On a CPU with ONNX Runtime 1.32, 1 and 2 threads, this takes between 1/1.07 and 1/1.9 of the time where
    operands are packed (lengths 32 to 1500, with and without mask), and between 1/0.97 and 1/1.9 where not.
    """

    name = "fuse-attention"
    claim = Claim.RANGED
    root = ("Reshape", "Transpose", "MatMul")
    since_opset = 23
    closing = True  # a shape read on the way, gone a cycle later, would leave the heads unmerged
    requires = (
        Requires[Match]("same-heads", "the operator broadcasts no batch", lambda m: m.attention.fits),
        Requires[Match]("positive-scale", "ONNX Runtime takes no other scale", lambda m: m.attention.scale > 0),
        SCALE_FITS,
        Requires[Match]("mask-fits", "a larger mask enlarges the scores", lambda m: m.attention.mask_fits),
        Requires[Match](
            "mask-full-length", "the mask must have both lengths", lambda m: can_be_additive(m.attention, m.root)
        ),
        Requires[Match](
            "known-empty-rows",
            "only a row of minus infinity gives zero, not one of low numbers",
            lambda m: not m.attention.guarded or _floor(m.attention) is not None,
        ),
    )
    pays = (
        Pays[Match](
            "fused-kernel",
            "without a kernel for the type the runtime takes the operator to pieces again",
            lambda m: facts.dtype(m.attention.out) in _KERNELS,
        ),
        Pays[Match]("sole-users", "the scores would be computed on their own too", lambda m: m.is_closed),
    )

    def match(self, node: ir.Node) -> Match | None:
        """Bind the attention that ends here."""
        return _result.match(node, _is_packed)

    def build(self, tape: Tape, m: Match) -> Sequence[ir.Value]:
        """One Attention, and what its operands and its result need around it."""
        found = m.attention
        keys, values = _few(found, m.root)
        operands = (found.queries, keys, values)
        attributes: dict[str, int | float] = {"scale": attribute(found.scale)}
        if m.form is Form.WHOLE:
            inputs = [heads.as_whole(tape) for heads in operands]
        else:
            inputs = [heads.as_packed(tape) for heads in operands]
            for name, heads in (("q_num_heads", found.queries), ("kv_num_heads", keys)):
                if isinstance(heads.dims[1], int):
                    attributes[name] = heads.dims[1]
        y = tape.op("Attention", [*inputs, _mask(tape, m)], attributes)
        return [y if m.form is Form.WHOLE else _result.unpacked(tape, y, m)]


def _is_packed(found: Attention) -> bool:
    return all(heads.packed is not None for heads in (found.queries, found.keys, found.values))


def _few(found: Attention, root: ir.Node) -> tuple[Heads, Heads]:
    """Keys and values, before both were repeated the same number of times."""
    keys, values = ungrouped(found.keys, root), ungrouped(found.values, root)
    if keys is None or values is None or keys.dims[1] != values.dims[1]:
        return found.keys, found.values
    return keys, values


def _floor(found: Attention) -> float | None:
    """What the masks must not go below: minus infinity where that is meant, else just above the lowest number.

    None where they may hold both, or nothing is known of them.
    """
    kind = facts.dtype(found.out)
    limits = bounds_of(found)
    if kind is None or limits is None:
        return None
    lowest = np.finfo(kind.numpy()).min
    if limits.minus_inf:
        return -math.inf if limits.low > lowest else None
    return -math.inf if limits.low > lowest else _above_lowest(kind)


def _above_lowest(kind: ir.DataType) -> float:
    numbers = np.finfo(kind.numpy())
    return float(np.nextafter(numbers.min, numbers.dtype.type(0)))


def _mask(tape: Tape, m: Match) -> ir.Value | None:
    found = m.attention
    kind = facts.dtype(found.out)
    if not found.masks or kind is None:
        return None
    masks = [as_selection(mask) for mask in found.masks]
    floor = _floor(found)
    if floor is None:  # where rows of minus infinity are NaN in the original, or there are none
        floor = _above_lowest(kind)
    first = masks[0]
    if len(masks) == 1 and isinstance(first, Selected):
        if math.isinf(first.number) and math.isinf(floor) and first.keeps:
            return spelled_out(tape, first.condition, found, m.root, _MATRIX)
        number = first.number if math.isinf(floor) else max(first.number, floor)
        return spelled_out(tape, replace(first, number=number).build(tape), found, m.root, _MATRIX)
    mask = additive_mask(tape, found.masks)
    if not math.isinf(floor):
        mask = tape.op("Max", [mask, tape.constant(np.array(floor, dtype=kind.numpy()))])
    return spelled_out(tape, mask, found, m.root, _MATRIX)
