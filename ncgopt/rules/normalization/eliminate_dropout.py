"""Remove a Dropout that does not drop."""

from __future__ import annotations

from collections.abc import Sequence

import onnx_ir as ir

from ncgopt import facts
from ncgopt.records import record
from ncgopt.rewrite import Claim, Requires, Rule, Tape


@record
class Match:
    """`out, mask = Dropout(x)`; `inference` where it certainly does not train."""

    x: ir.Value
    inference: bool
    mask: ir.Value | None


class EliminateDropout(Rule[Match]):
    """`Dropout(x)` becomes `x` at inference, where it passes everything on, unscaled.

    Since opset 12 the input `training_mode` decides, false where it is left out; from opset 7 to 11
    the operator never trains; before, it trains unless `is_test` is set.
    """

    name = "eliminate-dropout"
    claim = Claim.EXACT
    root = "Dropout"
    requires = (
        Requires[Match]("inference", "in training, elements are dropped at random", lambda m: m.inference),
        Requires[Match]("mask-unused", "nothing else produces the mask", lambda m: not _is_used(m.mask)),
    )

    def match(self, node: ir.Node) -> Match | None:
        """Bind the input, the mask where there is one, and whether the node trains."""
        x = facts.input_of(node, 0)
        if x is None:
            return None
        return Match(x, _is_inference(node), node.outputs[1] if len(node.outputs) > 1 else None)

    def build(self, tape: Tape, m: Match) -> Sequence[ir.Value | None]:
        """The input itself."""
        return [m.x] if m.mask is None else [m.x, None]


def _is_inference(node: ir.Node) -> bool:
    version = node.version or 1
    if version < 7:
        return bool(facts.int_attribute(node, "is_test"))
    mode = facts.input_of(node, 2)
    return version < 12 or mode is None or facts.scalar(mode) is False


def _is_used(value: ir.Value | None) -> bool:
    return value is not None and (bool(value.uses()) or value.is_graph_output())
