"""Whether a condition is the same on every run: what decides which branch of an If, or how many rounds of a Loop, run.

Exporters write `If(Equal(Gather(Shape(x), 0), 1))` and `If(Not(Equal(Size(Shape(x)), 2)))`. Which of
the two holds follows from the shape of x wherever that is known.
"""

from __future__ import annotations

from collections.abc import Mapping

import onnx_ir as ir

from ncgopt.facts import uses
from ncgopt.facts.knowledge import contents_of

_MAX_DEPTH = 32
# Cast to a number and to bool again, what is not zero stays so.
_SAME_TRUTH = ("Identity", "Squeeze", "Unsqueeze", "Reshape", "Flatten", "Cast")


def truth(value: ir.Value | None, given: Mapping[ir.Value, bool] | None = None) -> bool | None:
    """What the condition `value` (one element) holds on every run; None where that is not known.

    Args:
        value: a bool tensor of one element, whatever its rank.
        given: conditions known to hold, or not to, where the question is asked: inside a branch of
            an If its own condition is.
    """
    return _truth(value, given or {}, _MAX_DEPTH)


def _truth(value: ir.Value | None, given: Mapping[ir.Value, bool], depth: int) -> bool | None:
    if value is None or depth == 0:
        return None
    if value in given:
        return given[value]
    found = contents_of(value)
    if found is not None and found.size == 1 and isinstance(held := found.reshape(-1)[0], int):
        return bool(held)
    node = uses.producer(value)
    if node is None or node.domain or not given:
        return None  # without assumptions the contents say all
    inner = _truth(uses.input_of(node, 0), given, depth - 1)
    if node.op_type == "Not":
        return None if inner is None else not inner
    if node.op_type in _SAME_TRUTH:
        return inner
    if node.op_type in ("And", "Or", "Xor"):
        return _combined(node.op_type, [_truth(v, given, depth - 1) for v in node.inputs])
    return None


def _combined(op_type: str, sides: list[bool | None]) -> bool | None:
    if op_type == "And" and False in sides:
        return False
    if op_type == "Or" and True in sides:
        return True
    known = [side for side in sides if side is not None]
    if len(known) < len(sides):
        return None
    return all(known) if op_type == "And" else any(known) if op_type == "Or" else known[0] != known[1]


def branches_of(node: ir.Node) -> tuple[ir.Graph, ir.Graph] | None:
    """The branches of an If, first the one taken where the condition holds; None for anything else."""
    if node.op_type != "If" or node.domain or len(node.inputs) != 1:
        return None
    found = [node.attributes.get(name) for name in ("then_branch", "else_branch")]
    graphs = [a.as_graph() for a in found if a is not None and a.type == ir.AttributeType.GRAPH]
    if len(graphs) != 2 or any(len(g.outputs) != len(node.outputs) or g.inputs for g in graphs):
        return None
    return graphs[0], graphs[1]
