"""Compound operators written in pieces, which runtimes and other rules recognise by their exact operators.

ONNX Runtime 1.32 fuses a normalization only where the square is a Pow and a scale follows, and its
patterns of attention name the Div that scales the scores: a cheaper piece would cost the fusion.
"""

from __future__ import annotations

import onnx_ir as ir

from ncgopt import facts


def is_averaged(square: ir.Value) -> bool:
    """Whether a mean is taken of `square`: the variance of a normalization."""
    return any(use.node.op_type == "ReduceMean" and not use.node.domain for use in square.uses())


def is_normalized(value: ir.Value) -> bool:
    """Whether `value` was divided by a root: the next factor is the scale of a normalization."""
    node = facts.producer(value, "Div", "Mul", "Cast")
    if node is not None and node.op_type == "Cast":
        node = facts.producer(facts.input_of(node, 0), "Div", "Mul")
    if node is None:
        return False
    if node.op_type == "Div":
        return facts.producer(facts.input_of(node, 1), "Sqrt") is not None
    reciprocals = [facts.producer(factor, "Reciprocal", "Div") for factor in node.inputs]
    return any(r is not None and facts.producer(r.inputs[-1], "Sqrt") is not None for r in reciprocals)


def is_part_of_attention(value: ir.Value, out: ir.Value) -> bool:
    """Whether `value` is a product of two computed matrices, or `out`, computed from it, goes into one."""
    return _is_product(facts.producer(value, "MatMul")) or any(_is_product(use.node) for use in out.uses())


def _is_product(node: ir.Node | None) -> bool:
    return node is not None and node.op_type == "MatMul" and not any(facts.is_constant(v) for v in node.inputs)
