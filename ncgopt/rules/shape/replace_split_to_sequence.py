"""Take a part of a Split instead of an element of a sequence of parts."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import onnx_ir as ir

from ncgopt import facts
from ncgopt.facts.affine import producer_beside
from ncgopt.facts.operands import normalized_axes
from ncgopt.records import record
from ncgopt.rewrite import Claim, Pays, Requires, Rule, Tape

_SIZES_ARE_INPUTS = 13  # the opset since which Split takes them so


@record
class Match:
    """`out = SequenceAt(SplitToSequence(x, split), position)`.

    Attributes:
        axis: counted from the front.
        sizes: of the parts along the axis; None where the axis has no known size that they add up to.
        users: what reads the sequence.
    """

    x: ir.Value
    axis: int
    sizes: tuple[int, ...] | None
    position: int
    users: tuple[ir.Node, ...]

    @property
    def is_inside(self) -> bool:
        """Whether there is such a part."""
        return self.sizes is not None and -len(self.sizes) <= self.position < len(self.sizes)


class ReplaceSplitToSequence(Rule[Match]):
    """`SequenceAt(SplitToSequence(x, sizes), k)` becomes output k of `Split(x, sizes)`, sizes and k constant.

    PyTorch's dynamo exporter writes `torch.split` so. Nothing looks into a sequence, so what comes out
    of one is lost to every other rewrite; the Splits of several parts are equal and shared.
    """

    name = "replace-split-to-sequence"
    claim = Claim.EXACT
    root = "SequenceAt"
    since_opset = 11
    requires = (Requires[Match]("known-part", "Split must be told the sizes of all parts", lambda m: m.is_inside),)
    pays = (
        Pays[Match](
            "only-picked-from",
            "the sequence would be made on top of the parts",
            lambda m: all(user.op_type == "SequenceAt" for user in m.users),
        ),
    )

    def match(self, node: ir.Node) -> Match | None:
        """Bind what is split, and which part is taken."""
        sequence, index = node.inputs
        split = producer_beside(sequence, node, "SplitToSequence")
        position = facts.scalar(index)
        if split is None or sequence is None or position is None:
            return None
        x, lengths, axis = facts.input_of(split, 0), facts.input_of(split, 1), facts.int_attribute(split, "axis")
        dims = facts.shape(x) if x is not None else None
        counted = normalized_axes((axis,), len(dims)) if dims is not None and axis is not None else None
        if x is None or lengths is None or dims is None or counted is None:
            return None
        sizes = _sizes(lengths, dims[counted[0]])
        return Match(x, counted[0], sizes, int(position), tuple(use.node for use in sequence.uses()))

    def build(self, tape: Tape, m: Match) -> Sequence[ir.Value]:
        """One output of a Split."""
        sizes = m.sizes or ()
        if tape.opsets.get("", 1) < _SIZES_ARE_INPUTS:
            parts = tape.multi_op("Split", [m.x], {"axis": m.axis, "split": sizes}, outputs=len(sizes))
        else:
            lengths = tape.constant(np.array(sizes, dtype=np.int64))
            parts = tape.multi_op("Split", [m.x, lengths], {"axis": m.axis}, outputs=len(sizes))
        return [parts[m.position]]


def _sizes(lengths: ir.Value, size: facts.Dim) -> tuple[int, ...] | None:
    """One number is the size of every part but a smaller last one; a list has the size of each."""
    array = facts.constant(lengths)
    if array is None or not isinstance(size, int) or array.size == 0 or (array <= 0).any():
        return None
    if array.ndim == 0:
        step = int(array)
        return tuple(min(step, size - start) for start in range(0, size, step))
    sizes = tuple(int(n) for n in array.reshape(-1))
    return sizes if sum(sizes) == size else None
