"""Look rows up instead of multiplying by a one-hot matrix."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import onnx_ir as ir

from ncgopt import facts
from ncgopt.facts.affine import producer_beside
from ncgopt.facts.ranges import interval
from ncgopt.records import record
from ncgopt.rewrite import Claim, Pays, Requires, Rule, Tape


@record
class Match:
    """`OneHot(indices, depth, [0, 1]) table`, `selector` the last value before the product."""

    one_hot: ir.Node
    selector: ir.Value
    indices: ir.Value
    depth: int
    table: ir.Value

    @property
    def in_range(self) -> bool:
        """Whether every index names a row; of others OneHot makes a row of zeros, and Gather fails.

        Before operator set 11 neither counts from the end.
        """
        lowest = -self.depth if (self.one_hot.version or 1) >= 11 else 0
        return interval(self.indices).within(lowest, self.depth - 1)

    @property
    def finite(self) -> bool:
        """Whether 0 times any element of the table is 0."""
        array = facts.constant(self.table)
        return array is not None and bool(np.isfinite(array).all())


class ReplaceOneHotMatmul(Rule[Match]):
    """`MatMul(OneHot(i, depth, [0, 1]), E)` becomes `Gather(E, i)`, i in range.

    Of each row's products all but one are zero. Indices are in range where operators say so: Mod, Clip,
    ArgMax, constants.
    """

    name = "replace-one-hot-matmul"
    claim = Claim.ROUNDS
    root = "MatMul"
    requires = (
        Requires[Match]("in-range", "an index beyond the table gives zeros, not a row", lambda m: m.in_range),
        Requires[Match]("finite", "0 times infinity is NaN, in every row", lambda m: m.finite),
    )
    pays = (
        Pays[Match](
            "sole-users",
            "the matrix stays for its other users",
            lambda m: facts.sole_user(m.selector) and facts.sole_user(m.one_hot.outputs[0]),
        ),
    )

    def match(self, node: ir.Node) -> Match | None:
        """Bind the OneHot, a Cast behind it or not, and the constant matrix."""
        selector, table = node.inputs
        if selector is None or table is None or facts.rank(table) != 2 or not facts.is_constant(table):
            return None
        source = producer_beside(selector, node, "OneHot", "Cast")
        one_hot = (
            source
            if source is None or source.op_type == "OneHot"
            else producer_beside(source.inputs[0], node, "OneHot")
        )
        if one_hot is None or facts.int_attribute(one_hot, "axis") != -1 or not facts.is_float(selector):
            return None
        indices, depth, values = one_hot.inputs
        count, pair = facts.scalar(depth), facts.constant(values)
        if indices is None or count is None or pair is None or pair.size != 2 or list(pair.reshape(-1)) != [0, 1]:
            return None
        if facts.dtype(indices) not in (ir.DataType.INT64, ir.DataType.INT32):
            return None
        sizes = facts.static(table)
        return Match(one_hot, selector, indices, int(count), table) if sizes and sizes[0] == int(count) else None

    def build(self, tape: Tape, m: Match) -> Sequence[ir.Value]:
        """One Gather."""
        return [tape.op("Gather", [m.table, m.indices])]
