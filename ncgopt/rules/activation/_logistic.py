"""The denominator of the logistic function: `1 + exp(-x)`."""

from __future__ import annotations

import onnx_ir as ir

from ncgopt import facts
from ncgopt.facts.affine import producer_beside
from ncgopt.records import record
from ncgopt.rules.activation._pieces import NO_BROADCAST, SOLE_USERS, Pieces
from ncgopt.rules.activation._polynomial import expand


@record
class Match(Pieces):
    """`root` divides something by `1 + exp(-x)`."""


REQUIRES = (NO_BROADCAST,)
PAYS = (SOLE_USERS,)


def denominator(value: ir.Value | None, root: ir.Node) -> Match | None:
    """Bind x where `value`, by which `root` divides, is `1 + exp(-x)`."""
    added = producer_beside(value, root, "Add")
    for summand in added.inputs if added is not None else ():
        exponential = producer_beside(summand, root, "Exp")
        argument = facts.input_of(exponential, 0) if exponential is not None else None
        negation = producer_beside(argument, root, "Neg", "Mul")
        if exponential is None or negation is None:
            continue
        total = expand(value, exponential.outputs, root)
        for x in negation.inputs:
            minus = expand(argument, [x], root) if x is not None and not facts.is_constant(x) else None
            if x is None or minus is None or total is None:
                continue
            if minus.terms == {(1,): -1.0} and total.terms == {(0,): 1.0, (1,): 1.0}:
                nodes = total.nodes | minus.nodes | {exponential}
                return Match(x, nodes, max(total.rank, minus.rank), root)
    return None
