"""Apply an activation that never decreases after MaxPool, to fewer elements."""

from __future__ import annotations

from collections.abc import Sequence

import onnx_ir as ir

from ncgopt import facts
from ncgopt.facts.affine import producer_beside
from ncgopt.records import record
from ncgopt.rewrite import Claim, Pays, Requires, Rule, Tape
from ncgopt.rules.convolution._geometry import geometry

# Of these, Relu and Clip cost little, but a pass over the large tensor all the same.
_MONOTONE = ("Sigmoid", "Tanh", "Relu", "LeakyRelu", "HardSigmoid", "Softplus", "Elu", "Softsign", "Exp", "Selu", "Erf")
_SLOPES = {"LeakyRelu": ("alpha",), "HardSigmoid": ("alpha",), "Elu": ("alpha",), "Selu": ("alpha", "gamma")}


@record
class Match:
    """`pool(activation(x))`."""

    pool: ir.Node
    activation: ir.Node
    x: ir.Value

    @property
    def never_decreases(self) -> bool:
        """Whether its slopes are known and not negative."""
        names = _SLOPES.get(self.activation.op_type, ())
        slopes = [facts.float_attribute(self.activation, name) for name in names]
        return all(slope is not None and slope >= 0 for slope in slopes)

    @property
    def shrinks(self) -> bool:
        """Whether the result is smaller than what goes in."""
        found = geometry(self.pool)
        return self.pool.op_type == "GlobalMaxPool" or (found is not None and max(found.strides) > 1)


class ReorderActivationAfterMaxPool(Rule[Match]):
    """`MaxPool(f(x))` becomes `f(MaxPool(x))`, f a function that never decreases.

    The largest of f's values is f of the largest. Where the pool steps by more than one, f is applied
    to fewer elements. An activation right behind a convolution stays there: runtimes fuse it. ROUNDS,
    because implementations of f need not be monotone to the last bit.
    """

    name = "reorder-activation-after-max-pool"
    claim = Claim.ROUNDS
    root = ("MaxPool", "GlobalMaxPool")
    requires = (
        Requires[Match](
            "never-decreases", "a negative slope makes the smallest the largest", lambda m: m.never_decreases
        ),
        Requires[Match](
            "no-indices",
            "of equal values of f another may be the first",
            lambda m: not any(v.name and (v.uses() or v.is_graph_output()) for v in m.pool.outputs[1:]),
        ),
    )
    pays = (
        Pays[Match]("sole-user", "f is applied twice", lambda m: facts.sole_user(m.activation.outputs[0])),
        Pays[Match]("shrinks", "as many elements as before", lambda m: m.shrinks),
        Pays[Match](
            "not-fused",
            "runtimes apply it within the convolution",
            lambda m: facts.producer(m.x, "Conv", "ConvTranspose", "BatchNormalization") is None,
        ),
    )

    def match(self, node: ir.Node) -> Match | None:
        """Bind the activation."""
        activation = producer_beside(node.inputs[0], node, *_MONOTONE)
        x = activation.inputs[0] if activation is not None else None
        return Match(node, activation, x) if activation is not None and x is not None and facts.is_float(x) else None

    def build(self, tape: Tape, m: Match) -> Sequence[ir.Value | None]:
        """The pool, then the activation."""
        pooled = tape.like(m.pool, [m.x])
        return [tape.like(m.activation, [pooled]), *[None] * (len(m.pool.outputs) - 1)]
