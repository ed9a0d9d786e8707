"""Let a pool do the padding of its input."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
import onnx_ir as ir

from ncgopt import facts
from ncgopt.facts.affine import producer_beside
from ncgopt.facts.ranges import interval
from ncgopt.records import record
from ncgopt.rewrite import Claim, Pays, Requires, Rule, Tape
from ncgopt.rules.convolution._geometry import Geometry, geometry
from ncgopt.rules.convolution.fold_pad_into_conv import pad_amounts

_LOWEST = {ir.DataType.FLOAT: float(np.finfo(np.float32).min), ir.DataType.FLOAT16: float(np.finfo(np.float16).min)}


@record
class Match:
    """`pool(Pad(x))`."""

    pool: ir.Node
    pad: ir.Node
    x: ir.Value
    begins: tuple[int, ...]
    ends: tuple[int, ...]
    shape: Geometry

    @property
    def value(self) -> float | None:
        """What Pad writes; an attribute before opset 11, an optional input since."""
        if facts.string_attribute(self.pad, "mode") != "constant":
            return None
        if (self.pad.version or 1) < 11:
            return facts.float_attribute(self.pad, "value")
        given = facts.input_of(self.pad, 2)
        found = 0.0 if given is None else facts.scalar(given)
        return None if found is None else float(found)

    @property
    def is_neutral(self) -> bool:
        """Whether the pool pads with the same: a maximum never with the padding, an average with zeros that count."""
        value = self.value
        if value is None:
            return False
        if self.pool.op_type == "MaxPool":
            lowest = _LOWEST.get(facts.dtype(self.x) or ir.DataType.UNDEFINED, -math.inf)
            return value <= lowest or (not self.all_padding and interval(self.x).low >= value)
        return value == 0 and (not self.shape.is_padded or facts.int_attribute(self.pool, "count_include_pad") == 1)

    @property
    def all_padding(self) -> bool:
        """Whether a window could lie in the padding as a whole."""
        return any(max(b, e) >= k for b, e, k in zip(self.begins[2:], self.ends[2:], self.shape.kernel, strict=True))

    @property
    def pads(self) -> tuple[int, ...]:
        """The sum of both paddings."""
        both = (*self.begins[2:], *self.ends[2:])
        return tuple(a + b for a, b in zip(both, self.shape.pads, strict=True))


class FoldPadIntoPool(Rule[Match]):
    """`MaxPool(Pad(x, p, -inf), k)` becomes `MaxPool(x, k, pads=p)`; AveragePool with zeros that count likewise.

    A maximum pads with what never wins. Zeros will do before it as well, where nothing in x is below
    zero (behind a Relu). ROUNDS, because an average may be taken in another order.
    """

    name = "fold-pad-into-pool"
    claim = Claim.ROUNDS
    root = ("MaxPool", "AveragePool")
    since_opset = 7
    requires = (
        Requires[Match]("neutral-padding", "the padding may win, or counts as something else", lambda m: m.is_neutral),
        Requires[Match](
            "spatial-only",
            "a pool pads no batch or channels",
            lambda m: not any(m.begins[:2] + m.ends[:2]) and min(m.begins + m.ends) >= 0,
        ),
        Requires[Match](
            "less-than-a-window",
            "runtimes refuse padding of a whole window",
            lambda m: all(p < k for p, k in zip(m.pads, m.shape.kernel * 2, strict=True)),
        ),
        Requires[Match](
            "no-indices",
            "indices count in the padded tensor",
            lambda m: not any(v.name and (v.uses() or v.is_graph_output()) for v in m.pool.outputs[1:]),
        ),
    )
    pays = (Pays[Match]("sole-user", "the padded input stays anyway", lambda m: facts.sole_user(m.pad.outputs[0])),)

    def match(self, node: ir.Node) -> Match | None:
        """Bind Pad with constant pads and the pool, its output size the usual one."""
        pad, shape = producer_beside(node.inputs[0], node, "Pad"), geometry(node)
        if pad is None or pad.inputs[0] is None or shape is None:
            return None
        if (node.version or 1) >= 10 and facts.int_attribute(node, "ceil_mode") != 0:
            return None
        amounts = pad_amounts(pad, len(shape.kernel) + 2)
        return Match(node, pad, pad.inputs[0], *amounts, shape) if amounts is not None else None

    def build(self, tape: Tape, m: Match) -> Sequence[ir.Value | None]:
        """The pool with larger pads."""
        made = tape.like(m.pool, [m.x])
        node = made.producer()
        if node is None:
            raise ValueError("the copy of the pool has no node")
        node.attributes["pads"] = ir.AttrInt64s("pads", m.pads)
        node.attributes.pop("auto_pad", None)
        if m.pool.op_type == "AveragePool":
            node.attributes["count_include_pad"] = ir.AttrInt64("count_include_pad", 1)
        return [made, *[None] * (len(m.pool.outputs) - 1)]
