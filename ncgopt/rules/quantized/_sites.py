"""An operator between dequantized inputs and a quantized output."""

from __future__ import annotations

import numpy as np
import onnx_ir as ir

from ncgopt import facts
from ncgopt.facts.affine import producer_beside
from ncgopt.records import record
from ncgopt.rewrite import Pays, Requires, Tape
from ncgopt.rules.quantized._parameters import Parameters, parameters

EIGHT_BITS = frozenset({ir.DataType.UINT8, ir.DataType.INT8})


@record
class Dequantized:
    """`DequantizeLinear(q, scale, zero_point)`."""

    q: ir.Value
    by: Parameters

    def triple(self, tape: Tape) -> list[ir.Value]:
        """The integers, their scale and their zero point, as quantized operators take them."""
        return [self.q, *self.by.pair(tape)]


@record
class Site:
    """`out = QuantizeLinear(node(DequantizeLinear(...), ...))`.

    Attributes:
        node: the operator that computes in floats.
        inputs: what is dequantized for it, in the order of its inputs.
        out: the parameters of the result.
    """

    node: ir.Node
    inputs: tuple[Dequantized, ...]
    out: Parameters

    @property
    def tensors(self) -> tuple[Parameters, ...]:
        """The parameters of all inputs and of the output."""
        return (*(x.by for x in self.inputs), self.out)


def dequantized(value: ir.Value | None, root: ir.Node) -> Dequantized | None:
    """What `value` is dequantized from, beside `root`."""
    node = producer_beside(value, root, "DequantizeLinear")
    if node is None or node.inputs[0] is None:
        return None
    by = parameters(node)
    return None if by is None else Dequantized(node.inputs[0], by)


def site(quantize: ir.Node, *op_types: str, skip: int = 0) -> Site | None:
    """Bind the operator before `quantize`, if all its inputs after the first `skip` are dequantized.

    All scales must be known, finite and above zero, as every calibration gives them: what kernels make of
    others (they multiply by quotients of scales, or refuse to run) is not what the floats would have been.
    """
    node, out = producer_beside(quantize.inputs[0], quantize, *op_types), parameters(quantize)
    if node is None or out is None or len(node.outputs) != 1:
        return None
    inputs = [dequantized(value, quantize) for value in node.inputs[skip:]]
    known = tuple(x for x in inputs if x is not None)
    found = Site(node, known, out) if known and len(known) == len(inputs) else None
    return found if found is not None and all(_is_positive(x) for x in found.tensors) else None


def _is_positive(m: Parameters) -> bool:
    scales = facts.constant(m.scale)
    return scales is not None and bool((scales > 0).all()) and bool(np.isfinite(scales).all())


def is_float(m: Parameters) -> bool:
    """Whether scales are float32, as the kernels take them."""
    return facts.dtype(m.scale) == ir.DataType.FLOAT


def are_constant(m: Site) -> bool:
    """Whether all scales and zero points are known."""
    return all(facts.is_constant(v) for x in m.tensors for v in (x.scale, x.zero_point) if v is not None)


ONE_TYPE = Requires[Site](
    "one-8-bit-type",
    "the kernels take integers of 8 bits, all of one type",
    lambda m: m.out.dtype in EIGHT_BITS and all(x.dtype == m.out.dtype for x in m.tensors),
)
FLOAT_SCALES = Requires[Site](
    "float-scales", "the kernels take scales of float32", lambda m: all(is_float(x) for x in m.tensors)
)
PER_TENSOR = Requires[Site](
    "per-tensor", "the kernels take one scale per tensor", lambda m: all(x.is_scalar for x in m.tensors)
)
SOLE_USER = Pays[Site](
    "sole-user", "the floats would be computed as well", lambda m: facts.sole_user(m.node.outputs[0])
)
