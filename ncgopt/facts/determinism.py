"""Whether a node gives the same outputs for the same inputs, every time."""

from __future__ import annotations

import onnx_ir as ir

from ncgopt.facts import attributes, constants, contrib
from ncgopt.facts.training import is_updating

# ONNX operators that draw random numbers, seed attribute or not: a seed fixes the sequence of a
# session, not each result (ONNX specification, Random*, Multinomial, Bernoulli).
_RANDOM = frozenset(
    {"RandomNormal", "RandomNormalLike", "RandomUniform", "RandomUniformLike", "Multinomial", "Bernoulli"}
)
# com.microsoft operators known to compute the same each time; any other may not.
_CONTRIB = frozenset(
    {
        "BiasGelu",
        "FastGelu",
        "FusedConv",
        "FusedGemm",
        "FusedMatMul",
        "Gelu",
        "MultiHeadAttention",
        "QuickGelu",
        "RotaryEmbedding",
    }
)


def is_deterministic(node: ir.Node) -> bool:
    """True only where it is known: unknown domains and local functions are not."""
    if node.domain == "com.microsoft":
        return node.op_type in _CONTRIB
    if node.domain not in ("", "ai.onnx.ml") or (contrib.schema_of(node) or attributes.schema_of(node)) is None:
        return False
    if node.domain == "" and node.op_type in _RANDOM:
        return False
    if node.op_type in ("Dropout", "BatchNormalization") and not _at_inference(node):
        return False
    return all(is_deterministic(inner) for graph in _graphs(node) for inner in graph)


def draws_anew(node: ir.Node) -> bool:
    """Whether a standard operator is known to give other outputs each time, whatever else is not known."""
    if node.domain:
        return False
    return node.op_type in _RANDOM or (
        node.op_type in ("Dropout", "BatchNormalization") and not _at_inference(node) and _may_train(node)
    )


def _may_train(node: ir.Node) -> bool:
    """Whether a Dropout that is not known to be at inference really trains: its mode may be an input of the model."""
    if node.op_type == "BatchNormalization" or (node.version or 1) < 12:
        return True
    mode = node.inputs[2] if len(node.inputs) > 2 else None
    return mode is not None and constants.scalar(mode) not in (None, False, 0)


def _at_inference(node: ir.Node) -> bool:
    if node.op_type == "BatchNormalization":
        return not is_updating(node)
    if (node.version or 1) < 12:
        return (node.version or 1) >= 7 or attributes.int_attribute(node, "is_test") == 1
    return len(node.inputs) < 3 or node.inputs[2] is None or constants.scalar(node.inputs[2]) in (False, 0)


def _graphs(node: ir.Node) -> list[ir.Graph]:
    found: list[ir.Graph] = []
    for attribute in node.attributes.values():
        if attribute.type == ir.AttributeType.GRAPH:
            found.append(attribute.as_graph())
        elif attribute.type == ir.AttributeType.GRAPHS:
            found.extend(attribute.as_graphs())
    return found
