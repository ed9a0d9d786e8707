"""Name the type that CastLike takes from its second input."""

from __future__ import annotations

from collections.abc import Sequence

import onnx_ir as ir

from ncgopt import facts
from ncgopt.records import record
from ncgopt.rewrite import Claim, Pays, Requires, Rule, Tape

_SHORT = 4  # characters: with one more, the attribute takes no more than the name of the input and "Like" do


@record
class Match:
    """`out = CastLike(x, y)`; `to` is y's element type, UNDEFINED where unknown."""

    x: ir.Value
    like: ir.Value
    to: ir.DataType
    saturate: int | None
    rounding: str


class ReplaceCastLike(Rule[Match]):
    """`CastLike(x, y)` becomes `Cast(x, to=T)` where y is of type T.

    The result no longer depends on y, so that a constant x can be folded: exporters write biases of
    zero this way, and everything behind them stays unfused while it lasts.
    """

    name = "replace-cast-like"
    claim = Claim.EXACT
    root = "CastLike"
    since_opset = 15
    requires = (
        Requires[Match](
            "target-type-known", "a type that depends on the call", lambda m: m.to != ir.DataType.UNDEFINED
        ),
        Requires[Match](
            "default-rounding",
            "runtimes that expand CastLike drop its rounding mode (ONNX Runtime does), but heed that of Cast",
            lambda m: m.rounding == "up",
        ),
    )

    pays = (
        Pays[Match](
            "opens-or-shortens",
            "between two inputs, nothing can be folded, and the type takes more bytes than a short name",
            lambda m: not (m.x.is_graph_input() and m.like.is_graph_input()) or len(m.like.name or "") > _SHORT,
        ),
    )

    def match(self, node: ir.Node) -> Match | None:
        """Bind the value, the type of the other, and the attributes that Cast has too."""
        x, y = facts.input_of(node, 0), facts.input_of(node, 1)
        if x is None or y is None or any(a.is_ref() for a in node.attributes.values()):
            return None
        saturate = facts.int_attribute(node, "saturate") if facts.is_set(node, "saturate") else None
        rounding = facts.string_attribute(node, "round_mode") if facts.is_set(node, "round_mode") else "up"
        return Match(x, y, facts.dtype(y) or ir.DataType.UNDEFINED, saturate, rounding or "")

    def build(self, tape: Tape, m: Match) -> Sequence[ir.Value]:
        """The Cast."""
        attributes: dict[str, int | str] = {"to": int(m.to)}
        if m.saturate is not None:
            attributes["saturate"] = m.saturate  # Cast got it in the same opset version, 19
        if m.rounding != "up":
            attributes["round_mode"] = m.rounding
        return [tape.op("Cast", [m.x], attributes)]
