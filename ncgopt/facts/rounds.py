"""How often the body of a Loop runs, where that is the same on every run."""

from __future__ import annotations

import onnx_ir as ir

from ncgopt.facts import elements, uses
from ncgopt.facts.conditions import truth


def loop_body(node: ir.Node) -> ir.Graph | None:
    """The body of a Loop, with two inputs and one output ahead of what is carried; None for anything else."""
    attribute = node.attributes.get("body")
    if node.op_type != "Loop" or node.domain or attribute is None or attribute.type != ir.AttributeType.GRAPH:
        return None
    body, carried = attribute.as_graph(), len(node.inputs) - 2
    if carried < 0 or len(body.inputs) != carried + 2 or len(body.outputs) != len(node.outputs) + 1:
        return None
    return body if len(node.outputs) >= carried else None


def rounds(node: ir.Node) -> int | None:
    """The number of rounds of the Loop `node`; None where it is not known, or unlimited."""
    body = loop_body(node)
    if body is None:
        return None
    limit, begins = _limit(node.inputs[0]), _begins(node)
    if begins is False or (limit is not None and limit <= 0):
        return 0
    if begins is None:
        return None
    # A round runs only where the condition held, so that inside it does.
    goes_on = truth(body.outputs[0], {body.inputs[1]: True})
    if goes_on is False and (node.inputs[0] is None or limit is not None):
        return 1
    if limit is None or (limit > 1 and goes_on is not True):
        return None
    return limit


def runs_at_least_once(node: ir.Node) -> bool:
    """Whether the body of the Loop `node` certainly runs."""
    if loop_body(node) is None or _begins(node) is not True:
        return False
    limit = _limit(node.inputs[0])
    return node.inputs[0] is None or (limit is not None and limit > 0)


def _limit(value: ir.Value | None) -> int | None:
    found = elements.known_elements(value)
    return found[0] if found is not None and len(found) == 1 else None


def _begins(node: ir.Node) -> bool | None:
    condition = uses.input_of(node, 1)
    return True if condition is None else truth(condition)
