"""Let a convolution do the zero padding of its input."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import onnx_ir as ir

from ncgopt import facts
from ncgopt.facts.affine import producer_beside
from ncgopt.facts.operands import ints_operand, is_given, normalized_axes
from ncgopt.records import record
from ncgopt.rewrite import Claim, Pays, Requires, Rule, Tape


@record
class Match:
    """`Conv(Pad(x, begins, ends), W, b)`.

    Attributes:
        begins, ends: what Pad adds on each side of each dimension, batch and channels first.
        own: the convolution's own `pads`.
        others: its remaining attributes.
    """

    conv: ir.Node
    pad: ir.Node
    x: ir.Value
    begins: tuple[int, ...]
    ends: tuple[int, ...]
    own: tuple[int, ...]
    others: Mapping[str, int | tuple[int, ...]]

    @property
    def adds_zeros(self) -> bool:
        """Whether Pad writes zeros; its value is an attribute before opset 11, an optional input since."""
        if facts.string_attribute(self.pad, "mode") != "constant":
            return False
        if (self.pad.version or 1) < 11:
            return facts.float_attribute(self.pad, "value") == 0
        value = facts.input_of(self.pad, 2)
        return value is None or facts.scalar(value) == 0

    @property
    def pads(self) -> tuple[int, ...]:
        """The sum of both paddings of the spatial dimensions."""
        both = (*self.begins[2:], *self.ends[2:])
        return tuple(a + b for a, b in zip(both, self.own, strict=True))


class FoldPadIntoConv(Rule[Match]):
    """`Conv(Pad(x, p), W, b, pads=q)` becomes `Conv(x, W, b, pads=p+q)`.

    A convolution pads with zeros, outside of which Pad's zeros lie just as well. Kernels skip the
    products with padding, so the sum may be taken in another order.
    """

    name = "fold-pad-into-conv"
    claim = Claim.ROUNDS
    root = "Conv"
    since_opset = 2
    requires = (
        Requires[Match]("zero-padding", "a convolution pads with zeros only", lambda m: m.adds_zeros),
        Requires[Match](
            "spatial-only", "a convolution pads no batch or channels", lambda m: not any(m.begins[:2] + m.ends[:2])
        ),
        Requires[Match](
            "non-negative", "a convolution cuts nothing off", lambda m: min(m.begins + m.ends, default=0) >= 0
        ),
        Requires[Match](
            "explicit-pads",
            "SAME depends on the size of the input",
            lambda m: facts.string_attribute(m.conv, "auto_pad") in ("NOTSET", "VALID"),
        ),
    )
    pays = (Pays[Match]("sole-user", "the padded input stays anyway", lambda m: facts.sole_user(m.pad.outputs[0])),)

    def match(self, node: ir.Node) -> Match | None:
        """Bind Pad with constant pads, and read the convolution's attributes."""
        pad = producer_beside(node.inputs[0], node, "Pad")
        weight = facts.input_of(node, 1)
        rank = facts.rank(weight) if weight is not None else None
        if pad is None or pad.inputs[0] is None or rank is None or rank < 3:
            return None
        amounts, others = pad_amounts(pad, rank), _others(node)
        own = facts.ints_attribute(node, "pads") if facts.is_set(node, "pads") else (0,) * (2 * rank - 4)
        if amounts is None or others is None or own is None or len(own) != 2 * rank - 4:
            return None
        return Match(node, pad, pad.inputs[0], *amounts, own, others)

    def build(self, tape: Tape, m: Match) -> Sequence[ir.Value]:
        """The convolution with larger pads."""
        return [tape.op("Conv", [m.x, *m.conv.inputs[1:]], {**m.others, "pads": m.pads}, name=m.conv.name)]


def pad_amounts(pad: ir.Node, rank: int) -> tuple[tuple[int, ...], tuple[int, ...]] | None:
    """What is added before and behind each dimension; None where it is not constant."""
    pads = ints_operand(pad, "pads", 1)
    axes: Sequence[int] | None = range(rank)
    if is_given(pad, "axes", 3):
        given = ints_operand(pad, "axes", 3)
        axes = normalized_axes(given, rank) if given is not None else None
    if pads is None or axes is None or len(pads) != 2 * len(axes) or len(set(axes)) != len(axes):
        return None
    begins, ends = [0] * rank, [0] * rank
    for k, axis in enumerate(axes):
        begins[axis], ends[axis] = pads[k], pads[k + len(axes)]
    return tuple(begins), tuple(ends)


def _others(conv: ir.Node) -> dict[str, int | tuple[int, ...]] | None:
    """The attributes that stay as they are; None where a call of the enclosing function decides one."""
    found: dict[str, int | tuple[int, ...]] = {}
    for name in ("dilations", "group", "kernel_shape", "strides"):
        if facts.is_set(conv, name):
            value = facts.int_attribute(conv, name) if name == "group" else facts.ints_attribute(conv, name)
            if value is None:
                return None
            found[name] = value
    return found
