"""ONNX Runtime's Gemm with an activation in it."""

from __future__ import annotations

from collections.abc import Mapping

import onnx_ir as ir

from ncgopt import facts
from ncgopt.facts.affine import producer_beside
from ncgopt.records import record
from ncgopt.rewrite import Pays, Requires, Tape

# What ONNX Runtime's CPU provider has kernels for (tried with 1.20 and 1.32).
_KERNELS = frozenset({ir.DataType.FLOAT, ir.DataType.FLOAT16})
# The activation's own parameters by name, in the order of FusedGemm's.
_PARAMETERS: dict[str, tuple[str, ...]] = {
    "Relu": (),
    "Tanh": (),
    "Sigmoid": (),
    "Softplus": (),
    "LeakyRelu": ("alpha",),
    "Elu": ("alpha",),
    "HardSigmoid": ("alpha", "beta"),
    "ThresholdedRelu": ("alpha",),
}


@record
class Match:
    """`out = activation(Gemm(a, b, c))`, with all attributes of the fused operator."""

    gemm: ir.Node
    attributes: Mapping[str, int | float | str]

    @property
    def product(self) -> ir.Value:
        """The output of the Gemm."""
        return self.gemm.outputs[0]


REQUIRES = (
    Requires[Match](
        "fused-kernel", "FusedGemm has kernels for few types", lambda m: facts.dtype(m.product) in _KERNELS
    ),
)
PAYS = (Pays[Match]("sole-user", "the product would be computed twice", lambda m: facts.sole_user(m.product)),)


def match(node: ir.Node) -> Match | None:
    """Bind the activation `node` and the Gemm it reads, if all attributes are known."""
    gemm = producer_beside(node.inputs[0], node, "Gemm")
    if gemm is None:
        return None
    read: dict[str, int | float | None] = {}
    for name in ("alpha", "beta"):
        if facts.is_set(gemm, name):
            read[name] = facts.float_attribute(gemm, name)
    for name in ("transA", "transB"):
        if facts.is_set(gemm, name):
            read[name] = facts.int_attribute(gemm, name)
    for name in _PARAMETERS[node.op_type]:
        read[f"activation_{name}"] = facts.float_attribute(node, name)
    attributes = {name: value for name, value in read.items() if value is not None}
    return Match(gemm, {"activation": node.op_type, **attributes}) if len(attributes) == len(read) else None


def build(tape: Tape, m: Match) -> list[ir.Value]:
    """One FusedGemm."""
    return [tape.op("FusedGemm", m.gemm.inputs, m.attributes, domain="com.microsoft")]
