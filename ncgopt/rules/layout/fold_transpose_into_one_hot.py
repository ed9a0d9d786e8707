"""Let OneHot put its new axis where a Transpose moves it."""

from __future__ import annotations

from collections.abc import Sequence

import onnx_ir as ir

from ncgopt import facts
from ncgopt.records import record
from ncgopt.rewrite import Claim, Pays, Requires, Rule, Tape
from ncgopt.rules.layout._moves import Permutation, counted_axis
from ncgopt.rules.shape._permutations import permutation


@record
class Match:
    """`out = Transpose(OneHot(indices, depth, values, axis), perm)`."""

    one_hot: ir.Node
    axis: int
    perm: Permutation


class FoldTransposeIntoOneHot(Rule[Match]):
    """`Transpose(OneHot(i, axis=-1), [2, 0, 1])` becomes `OneHot(i, axis=0)`.

    OneHot can put the axis that it adds anywhere; the axes of the indices must keep their order.
    """

    name = "fold-transpose-into-one-hot"
    claim = Claim.EXACT
    root = "Transpose"
    since_opset = 9
    requires = (
        Requires[Match](
            "rest-in-order",
            "the axes of the indices are moved",
            lambda m: [a for a in m.perm if a != m.axis] == [a for a in range(len(m.perm)) if a != m.axis],
        ),
    )
    pays = (
        Pays[Match](
            "sole-user", "the OneHot stays for its other users", lambda m: facts.sole_user(m.one_hot.outputs[0])
        ),
    )

    def match(self, node: ir.Node) -> Match | None:
        """Bind the OneHot and where its axis goes."""
        one_hot, perm = facts.producer(facts.input_of(node, 0), "OneHot"), permutation(node)
        axis = counted_axis(one_hot, len(perm)) if one_hot is not None and perm is not None else None
        return None if one_hot is None or perm is None or axis is None else Match(one_hot, axis, perm)

    def build(self, tape: Tape, m: Match) -> Sequence[ir.Value]:
        """The OneHot with its axis in the last place."""
        made = tape.like(m.one_hot, m.one_hot.inputs)
        node = made.producer()
        assert node is not None
        node.attributes["axis"] = ir.AttrInt64("axis", m.perm.index(m.axis))
        return [made]
