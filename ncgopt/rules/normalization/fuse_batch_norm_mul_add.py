"""Fuse what is done to each channel after a BatchNormalization into its parameters."""

from __future__ import annotations

import functools
from collections.abc import Sequence

import numpy as np
import onnx_ir as ir

from ncgopt import facts
from ncgopt.facts.affine import BatchNorm, batch_norm, per_channel, producer_beside
from ncgopt.facts.constants import Array
from ncgopt.facts.rounding import representable, rounded
from ncgopt.records import record
from ncgopt.rewrite import Claim, Pays, Requires, Rule, Tape


@record
class Match:
    """`out` is `norm` times, divided by, plus or minus `constant`, or `constant - norm` where `reversed`."""

    norm: BatchNorm
    constant: ir.Value
    op_type: str
    reversed: bool

    @functools.cached_property
    def vector(self) -> Array | None:
        """The constant as one float64 number per channel."""
        shape = facts.shape(self.norm.node.outputs[0])
        channels = self.norm.parameters[0].size
        if shape is None or len(shape) < 2:
            return None
        return per_channel(self.constant, (shape[0], channels, *shape[2:]), 1)

    @functools.cached_property
    def folded(self) -> tuple[Array, Array]:
        """New scale and bias in float64."""
        scale, bias, _, _ = self.norm.parameters
        vector = self.vector
        if vector is None:
            raise ValueError("the constant varies within a channel")
        with np.errstate(all="ignore"):
            match self.op_type:
                case "Mul":
                    return scale * vector, bias * vector
                case "Div":
                    return scale / vector, bias / vector
                case "Add":
                    return scale, bias + vector
                case _:
                    return (-scale, vector - bias) if self.reversed else (scale, bias - vector)

    @property
    def fits(self) -> bool:
        """Whether the new parameters fit the type of the old ones."""
        stored = facts.constant(facts.input_of(self.norm.node, 1))
        return stored is not None and all(representable(c, stored.dtype) for c in self.folded)


class FuseBatchNormMulAdd(Rule[Match]):
    """`BatchNormalization(x, scale, bias, mean, variance) * c` becomes one with `scale c` and `bias c`.

    c is a scalar or one constant per channel; the same for division, addition and subtraction.
    Parameters are computed in float64 and rounded once.
    """

    name = "fuse-batch-norm-mul-add"
    claim = Claim.ROUNDS
    root = ("Mul", "Div", "Add", "Sub")
    since_opset = 7
    requires = (
        Requires[Match]("inference-mode", "training normalizes by the batch", lambda m: m.norm.inference),
        Requires[Match](
            "one-parameter-per-channel",
            "with spatial=0 there is one parameter per element",
            lambda m: m.norm.serves(m.norm.parameters[0].size),
        ),
        Requires[Match]("per-channel", "parameters have one element per channel", lambda m: m.vector is not None),
        Requires[Match](
            "representable", "the new parameters overflow, or the divisor is 0", lambda m: m.fits, costly=True
        ),
    )
    pays = (
        Pays[Match](
            "sole-user",
            "the normalization would be computed twice",
            lambda m: facts.sole_user(m.norm.node.outputs[0]),
        ),
    )

    def match(self, node: ir.Node) -> Match | None:
        """Bind the BatchNormalization and the constant; a constant divided by it is not linear."""
        a, b = node.inputs
        for y, constant in ((a, b), (b, a)):
            producer = producer_beside(y, node, "BatchNormalization")
            norm = batch_norm(producer) if producer is not None and y is producer.outputs[0] else None
            if norm is None or constant is None or not facts.is_constant(constant):
                continue
            if node.op_type == "Div" and y is b:
                continue
            return Match(norm, constant, node.op_type, y is b)
        return None

    def build(self, tape: Tape, m: Match) -> Sequence[ir.Value]:
        """The BatchNormalization with new scale and bias."""
        node = m.norm.node
        stored = facts.constant(facts.input_of(node, 1))
        if stored is None:
            raise ValueError("the scale is no constant")
        scale, bias = (rounded(c, stored.dtype) for c in m.folded)
        # A shift leaves the scale as it is: no second copy of it.
        kept = node.inputs[1] if np.array_equal(scale, stored) else tape.constant(scale)
        return [tape.like(node, [node.inputs[0], kept, tape.constant(bias), *node.inputs[3:]])]
