"""A Clip of a straight line that starts at zero: HardSigmoid, once it is scaled to end at one."""

from __future__ import annotations

import math

import onnx_ir as ir

from ncgopt import facts
from ncgopt.facts.affine import producer_beside
from ncgopt.facts.interior import is_closed
from ncgopt.facts.rounding import fits_attribute
from ncgopt.records import record
from ncgopt.rewrite import Requires, Tape
from ncgopt.rules.activation import _clip
from ncgopt.rules.activation._pieces import NO_BROADCAST, SOLE_USERS, Pieces
from ncgopt.rules.activation._polynomial import Polynomial, Powers, expand, operands

_FACTORS = 3  # operators from the last one to the Clip: two products, and the Clip itself
_INNER = 2  # a factor and a summand between the Clip and x
_LINE: set[Powers] = {(0,), (1,)}
_SERVED = frozenset({ir.DataType.FLOAT, ir.DataType.FLOAT16})
_TOLERANCES = {ir.DataType.FLOAT16: 2e-3}  # a sixth, rounded
_TOLERANCE = 1e-6


@record
class Match(Pieces):
    """`root` is `Clip(alpha x + beta, 0, 1)`, perhaps times x; written with another height and a factor."""

    alpha: float
    beta: float


REQUIRES = (
    Requires[Match](
        "single-precision",
        "ONNX Runtime has no HardSigmoid for float64",
        lambda m: facts.dtype(m.x) in _SERVED,
    ),
    NO_BROADCAST,
    Requires[Match](
        "representable",
        "an attribute that overflows makes NaN of zeros",
        lambda m: fits_attribute(m.alpha) and fits_attribute(m.beta),
    ),
)
PAYS = (SOLE_USERS,)


def match(root: ir.Node, *, times_x: bool) -> Match | None:
    """Bind x, from which on nothing but a straight line leads into the Clip; as far up as nothing else needs."""
    for value in operands(root.outputs[0], root, _FACTORS, "Mul", "Div"):
        clip = producer_beside(value, root, "Clip")
        limits = _clip.bounds(clip) if clip is not None else None
        if clip is None or limits is None or limits.low.number != 0 or not 0 < limits.high.number < math.inf:
            continue
        lines = operands(facts.input_of(clip, 0), root, _INNER, "Mul", "Div", "Add", "Sub")
        found = [_match(root, clip, float(limits.high.number), x, times_x=times_x) for x in lines]
        matches = [m for m in found if m is not None]
        closed = [m for m in matches if is_closed(m.nodes, root)]
        if matches:
            return max(closed or matches[:1], key=lambda m: len(m.nodes))
    return None


def _match(root: ir.Node, clip: ir.Node, height: float, x: ir.Value, *, times_x: bool) -> Match | None:
    if facts.dtype(x) == ir.DataType.BFLOAT16:
        return None  # has no HardSigmoid before opset 22
    line = expand(clip.inputs[0], [x], root)
    outer = expand(root.outputs[0], [x, clip.outputs[0]], root)
    product: Powers = (1, 1) if times_x else (0, 1)
    if line is None or outer is None or not _consists_of(line, (0,), (1,)) or not _consists_of(outer, product):
        return None
    factor = outer.terms[product]
    if not abs(factor * height - 1) <= _TOLERANCES.get(facts.dtype(x) or ir.DataType.UNDEFINED, _TOLERANCE):
        return None  # a factor of NaN included
    alpha, beta = line.terms[(1,)] / height, line.terms[(0,)] / height
    return Match(x, line.nodes | outer.nodes | {clip}, max(line.rank, outer.rank), root, alpha, beta)


def _consists_of(polynomial: Polynomial, *powers: Powers) -> bool:
    return set(polynomial.terms) == set(powers)


def build(tape: Tape, m: Match) -> ir.Value:
    """Record the HardSigmoid."""
    return tape.op("HardSigmoid", [m.x], {"alpha": m.alpha, "beta": m.beta})
