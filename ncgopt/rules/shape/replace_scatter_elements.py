"""Scatter whole rows instead of their elements one by one."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import onnx_ir as ir

from ncgopt import facts
from ncgopt.facts.affine import producer_beside
from ncgopt.records import record
from ncgopt.rewrite import Claim, Requires, Rule, Tape

# What ONNX Runtime's ScatterND reduces (tried with 1.32); its ScatterElements reduces more.
_REDUCED = frozenset({
    ir.DataType.FLOAT, ir.DataType.DOUBLE, ir.DataType.INT8, ir.DataType.INT16, ir.DataType.INT32, ir.DataType.INT64,
    ir.DataType.UINT8, ir.DataType.UINT16, ir.DataType.UINT32, ir.DataType.UINT64, ir.DataType.BOOL,
})  # fmt: skip
_REDUCTIONS = {16: ("add", "mul"), 18: ("add", "mul", "min", "max")}


@record
class Match:
    """`ScatterElements(data, Expand(rows), updates)` along axis 0; `rows` is `[n, 1, ...]`."""

    data: ir.Value
    rows: ir.Value
    expanded: ir.Value
    updates: ir.Value
    reduction: str

    @property
    def whole_rows(self) -> bool:
        """Whether each index serves a whole row: index, updates and data agree in everything but the rows."""
        data, expanded, updates = (facts.shape(v) for v in (self.data, self.expanded, self.updates))
        if data is None or expanded is None or updates is None or None in expanded:
            return False
        return expanded == updates and data[1:] == expanded[1:]


class ReplaceScatterElements(Rule[Match]):
    """`ScatterElements(x, Expand(i), u, axis=0)` with a reduction becomes `ScatterND(x, i, u)` with the same.

    The index of a row, expanded over its elements, is written out and read for each of them; ScatterND
    takes it once. Graph networks add up their messages so: `make bench-rules` shows 1/12 of the time or less
    (ONNX Runtime 1.32, 1 thread). ROUNDS, as several updates of a row may be added in another order.
    """

    name = "replace-scatter-elements"
    claim = Claim.ROUNDS
    root = "ScatterElements"
    since_opset = 16
    requires = (
        Requires[Match](
            "kernel-for-the-type",
            "ONNX Runtime's ScatterND reduces no half precision",
            lambda m: facts.dtype(m.data) in _REDUCED,
        ),
        Requires[Match]("whole-rows", "part of a row, or of the updates, is left alone", lambda m: m.whole_rows),
    )

    def match(self, node: ir.Node) -> Match | None:
        """Bind the data, the row numbers before they were expanded, and the updates."""
        data, index, updates = node.inputs
        known = _REDUCTIONS[18 if (node.version or 1) >= 18 else 16]
        reduction = facts.string_attribute(node, "reduction")
        if data is None or index is None or updates is None or reduction is None or reduction not in known:
            return None
        expand = producer_beside(index, node, "Expand")
        rows = expand.inputs[0] if expand is not None else None
        shape = facts.shape(rows) if rows is not None else None
        if rows is None or shape is None or len(shape) < 2 or any(dim != 1 for dim in shape[1:]):
            return None
        if facts.int_attribute(node, "axis") != 0 or facts.dtype(rows) != ir.DataType.INT64:
            return None
        expanded = facts.shape(index)
        if expanded is None or len(expanded) != len(shape) or expanded[0] != shape[0] or shape[0] is None:
            return None
        return Match(data, rows, index, updates, reduction)

    def build(self, tape: Tape, m: Match) -> Sequence[ir.Value]:
        """One ScatterND; its index is a matrix of one column."""
        rows = m.rows
        if facts.rank(rows) != 2:
            rows = tape.op("Reshape", [rows, tape.constant(np.array([-1, 1], np.int64))])
        return [tape.op("ScatterND", [m.data, rows, m.updates], {"reduction": m.reduction})]
