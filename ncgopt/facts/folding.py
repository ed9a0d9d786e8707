"""Which nodes compute the same value on every run, and may therefore be computed now."""

from __future__ import annotations

import onnx_ir as ir

from ncgopt.facts import constants, shapes, uses
from ncgopt.facts.determinism import is_deterministic

# Quantization is a statement about precision that runtimes read; computed away, weights grow fourfold. Quantizing a
# constant is not among it: what is left is its integers, and their DequantizeLinear.
_QUANTIZATION = frozenset({"DequantizeLinear", "DynamicQuantizeLinear"})
# Operators whose output may be larger than all they read; their size must be known beforehand.
_GROWING = frozenset({
    "ConstantOfShape", "Expand", "Tile", "Range", "Pad", "Resize", "Upsample", "OneHot", "EyeLike", "Gather",
    "GatherND", "GatherElements", "MatMul", "Gemm", "Einsum", "ConvTranspose", "DepthToSpace", "MaxUnpool", "Unique",
    "HannWindow", "HammingWindow", "BlackmanWindow", "MelWeightMatrix",
})  # fmt: skip


def foldable_nodes(graph: ir.Graph, *, max_elements: int) -> list[ir.Node]:
    """Nodes of `graph` (not of its subgraphs) all of whose inputs are constant, in order.

    Left out: random operators, quantization, unknown domains, nodes with subgraphs, protected ones,
    and any whose output is, or may be, larger than `max_elements`.
    """
    fixed: set[ir.Value] = set()
    found: list[ir.Node] = []
    for node in graph:
        if all(v is None or v in fixed or constants.is_constant(v) for v in node.inputs) and _may_fold(
            node, max_elements
        ):
            fixed.update(node.outputs)
            found.append(node)
    return found


def _may_fold(node: ir.Node, max_elements: int) -> bool:
    if node.op_type in ("Constant", *_QUANTIZATION) or uses.is_kept(node) or not node.inputs:
        return False
    kinds = {a.type for a in node.attributes.values()}
    if kinds & {ir.AttributeType.GRAPH, ir.AttributeType.GRAPHS} or any(a.is_ref() for a in node.attributes.values()):
        return False
    if not is_deterministic(node):
        return False
    for value in node.outputs:
        size = shapes.known_size(value)
        if size is None and (node.op_type in _GROWING or node.domain):
            return False
        if size is not None and size > max_elements:
            return False
    return True
