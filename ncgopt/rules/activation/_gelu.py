"""GELU, written in pieces: `x / 2 * (1 + erf(x / sqrt 2))`, or its approximation by tanh.

Hendrycks and Gimpel, Gaussian Error Linear Units, 2016 (arXiv:1606.08415).
"""

from __future__ import annotations

import math

import onnx_ir as ir

from ncgopt import facts
from ncgopt.facts.affine import producer_beside
from ncgopt.records import record
from ncgopt.rewrite import Requires
from ncgopt.rules.activation._pieces import NO_BROADCAST, SOLE_USERS, Pieces
from ncgopt.rules.activation._polynomial import expand, operands

_FACTORS = 5  # operators between the last one and erf or tanh: two products, a sum, and some room
_INNER = 6  # operators between erf or tanh and x
_GELU = {(1, 0): 0.5, (1, 1): 0.5}  # x / 2 + x f / 2
_SLOPE = math.sqrt(2 / math.pi)
_ARGUMENTS = {"Erf": {(1,): math.sqrt(0.5)}, "Tanh": {(1,): _SLOPE, (3,): _SLOPE * 0.044715}}

# Constants were rounded to the element type, often after being written with seven digits.
_TOLERANCES = {
    ir.DataType.FLOAT: 1e-6,
    ir.DataType.DOUBLE: 1e-6,
    ir.DataType.FLOAT16: 2e-3,
    ir.DataType.BFLOAT16: 2e-2,
}


@record
class Match(Pieces):
    """`root` is GELU of x; `tanh` says which form."""

    tanh: bool


REQUIRES = (
    Requires[Match](
        "single-precision",
        "runtimes expand the operator with constants in float32, or have none for float64",
        lambda m: facts.dtype(m.x) != ir.DataType.DOUBLE,
    ),
    NO_BROADCAST,
)
PAYS = (SOLE_USERS,)


def match(root: ir.Node) -> Match | None:
    """Bind x where `root` is the last operator of a GELU, whatever the order of the others."""
    for value in operands(root.outputs[0], root, _FACTORS, "Mul", "Add", "Sub", "Div"):
        function = producer_beside(value, root, *_ARGUMENTS)
        if function is not None:
            return _match(root, function)
    return None


def _match(root: ir.Node, function: ir.Node) -> Match | None:
    argument, result = function.inputs[0], function.outputs[0]
    for x in operands(argument, root, _INNER):
        tolerance = _TOLERANCES.get(facts.dtype(x) or ir.DataType.UNDEFINED)
        inner = expand(argument, [x], root) if tolerance is not None else None
        if tolerance is None or inner is None or not inner.equals(_ARGUMENTS[function.op_type], tolerance):
            continue
        outer = expand(root.outputs[0], [x, result], root)
        if outer is not None and outer.equals(_GELU, tolerance):
            nodes = inner.nodes | outer.nodes | {function}
            return Match(x, nodes, max(inner.rank, outer.rank), root, function.op_type == "Tanh")
    return None
