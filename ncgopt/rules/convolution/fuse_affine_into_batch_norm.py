"""Turn a scale and a shift of the channels that no convolution can take in into one BatchNormalization."""

from __future__ import annotations

import functools
from collections.abc import Sequence

import numpy as np
import onnx_ir as ir

from ncgopt import facts
from ncgopt.facts.affine import Affine, affine, affine_at
from ncgopt.facts.constants import Array
from ncgopt.facts.rounding import representable, rounded
from ncgopt.records import record
from ncgopt.rewrite import Claim, Pays, Requires, Rule, Tape

_MAX_STEPS = 8
_RANK = 4  # what ONNX Runtime's blocked layout serves
# Operators whose result ONNX Runtime keeps in its blocked layout, and that read it there.
_BLOCKED = frozenset({
    "Conv", "MaxPool", "AveragePool", "GlobalAveragePool", "GlobalMaxPool", "BatchNormalization", "FusedConv",
})  # fmt: skip
_ACTIVATIONS = frozenset({"Relu", "LeakyRelu", "Sigmoid", "Tanh", "Clip", "HardSigmoid", "Mul", "Add", "Sum"})


@record
class Match:
    """`root` is the last of `steps`, which begin at `x`."""

    root: ir.Node
    steps: tuple[Affine, ...]

    @property
    def x(self) -> ir.Value:
        """What the first step reads."""
        return self.steps[0].x

    @functools.cached_property
    def parameters(self) -> tuple[Array, Array]:
        """The factor and the shift of all steps together, in float64."""
        factor, addend = np.ones_like(self.steps[0].factor), np.zeros_like(self.steps[0].addend)
        with np.errstate(all="ignore"):
            for step in self.steps:
                factor, addend = factor * step.factor, addend * step.factor + step.addend
        return factor, addend

    @property
    def fits(self) -> bool:
        """Whether both fit the element type."""
        dtype = facts.dtype(self.x)
        return dtype is not None and all(representable(c, dtype.numpy()) for c in self.parameters)

    @property
    def is_private(self) -> bool:
        """Whether nothing else reads what lies between the steps."""
        return all(facts.sole_user(step.node.outputs[0]) for step in self.steps[:-1])


class FuseAffineIntoBatchNorm(Rule[Match]):
    """`x * f + a` becomes `BatchNormalization(x, f, a, 0, 1)`, where convolutions stand around it.

    One pass over the data instead of two, and one that ONNX Runtime does in the blocked layout of its
    convolutions: arithmetic with constants makes it reorder the tensor before and after. It waits until
    nothing else changes: `fold-conv-mul`, `fold-conv-add` and `fold-affine-into-next-conv` remove what
    this only shortens.

    Between depthwise convolutions of 96 channels, 56 x 56, this takes 1/1.2 of the time (ONNX Runtime
    1.32, 1 thread, `make bench-rules`).
    """

    name = "fuse-affine-into-batch-norm"
    claim = Claim.ROUNDS
    root = ("Add", "Sub", "Mul", "Div")
    since_opset = 9
    closing = True
    requires = (
        Requires[Match]("representable", "the product overflows, or the divisor is 0", lambda m: m.fits, costly=True),
    )
    pays = (
        Pays[Match]("sole-users", "intermediate values would be computed on their own too", lambda m: m.is_private),
        Pays[Match]("between-convolutions", "no blocked layout to keep", lambda m: _follows_convolution(m.x)),
    )

    def match(self, node: ir.Node) -> Match | None:
        """Bind all steps upwards from the last one, if the last is not itself read by a step."""
        shape = facts.shape(node.outputs[0])
        if shape is None or len(shape) != _RANK or not isinstance(shape[1], int):
            return None
        channels = shape[1]
        step, steps = affine(node, channels, _RANK), list[Affine]()
        while step is not None and len(steps) < _MAX_STEPS:
            steps.append(step)
            step = affine_at(step.x, node, channels, _RANK)
        if len(steps) < 2 or facts.dtype(steps[-1].x) != ir.DataType.FLOAT or _is_read_by_a_step(node, channels):
            return None
        return Match(node, tuple(reversed(steps)))

    def build(self, tape: Tape, m: Match) -> Sequence[ir.Value]:
        """One BatchNormalization of mean 0 and variance 1, without epsilon."""
        one, zero = np.ones_like(m.parameters[0]), np.zeros_like(m.parameters[0])
        arrays = (*m.parameters, zero, one)
        constants = [tape.constant(rounded(array, np.dtype(np.float32))) for array in arrays]
        return [tape.op("BatchNormalization", [m.x, *constants], {"epsilon": 0.0}, name=m.root.name)]


def _is_read_by_a_step(node: ir.Node, channels: int) -> bool:
    users = [use.node for use in node.outputs[0].uses()]
    return len(users) == 1 and users[0].graph is node.graph and affine(users[0], channels, _RANK) is not None


def _follows_convolution(value: ir.Value) -> bool:
    """Whether a convolution makes `value`, or an activation or sum of one."""
    for _ in range(_MAX_STEPS):
        node = facts.producer(value)
        if node is None:
            return False
        if node.op_type in _BLOCKED:
            return True
        if node.op_type not in _ACTIVATIONS or node.inputs[0] is None:
            return False
        value = node.inputs[0]
    return False
