"""Regroup an image in blocks at once, not pixel by pixel of a block."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
import onnx_ir as ir

from ncgopt import facts
from ncgopt.facts.affine import producer_beside
from ncgopt.records import record
from ncgopt.rewrite import Claim, Pays, Requires, Rule, Tape
from ncgopt.rules.shape._slices import TO_THE_END, Range, ranges

_DOUBLE_SINCE = 13  # ONNX Runtime's kernel takes float32 alone before


@record
class Match:
    """`out = Concat(x[:, :, r::b, c::b] for all r, c < b)` along the channels.

    Attributes:
        block: b, the edge of a block.
        pixels: `r * b + c` per piece, in their order.
        channels: of `x`; None where they are not known.
        whole: whether every piece goes to the end of both axes.
        dtype: of the elements.
        version: of the opset.
    """

    x: ir.Value
    pieces: tuple[ir.Value, ...]
    block: int
    pixels: tuple[int, ...]
    channels: int | None
    whole: bool
    dtype: ir.DataType | None
    version: int

    @property
    def in_order(self) -> bool:
        """Whether the pieces come as SpaceToDepth puts them: rows of the block first."""
        return self.pixels == tuple(range(self.block**2))


class FuseSlicesIntoSpaceToDepth(Rule[Match]):
    """YOLO's Focus layer: a Concat of every b-th pixel becomes SpaceToDepth, and a Gather where the order differs.

    SpaceToDepth wants sizes that are multiples of b. Nothing has to be known of them: with others the
    pieces differ in size, and the Concat fails as well. (ONNX Runtime's leaves empty pieces out: where a
    picture is narrower than a block, it passes on fewer channels than the model says that there are.)
    """

    name = "fuse-slices-into-space-to-depth"
    claim = Claim.EXACT
    root = "Concat"
    since_opset = 10
    requires = (
        Requires[Match]("to-the-end", "pixels at the border are left out", lambda m: m.whole),
        Requires[Match](
            "known-channels", "the order of the pieces differs", lambda m: m.in_order or m.channels is not None
        ),
    )
    pays = (
        Pays[Match](
            "every-pixel-once",
            "a pixel that is taken twice would be copied twice",
            lambda m: sorted(m.pixels) == list(range(m.block**2)),
        ),
        Pays[Match]("sole-user", "the Slices stay for other users", lambda m: all(map(facts.sole_user, m.pieces))),
        Pays[Match](
            "kernel",
            "ONNX Runtime's SpaceToDepth takes float32, and float64 since opset 13",
            lambda m: m.dtype is ir.DataType.FLOAT or (m.dtype is ir.DataType.DOUBLE and m.version >= _DOUBLE_SINCE),
        ),
    )

    def match(self, node: ir.Node) -> Match | None:
        """Bind what all pieces are taken from, and which pixel of a block each piece has."""
        block = math.isqrt(len(node.inputs))
        slices = [producer_beside(value, node, "Slice") for value in node.inputs]
        first = slices[0]
        x = facts.input_of(first, 0) if first is not None else None
        dims = facts.shape(x) if x is not None else None
        if block < 2 or len(slices) != block**2 or x is None or dims is None or len(dims) != 4:
            return None
        if facts.int_attribute(node, "axis") not in (1, -3):
            return None
        pixels: list[int] = []
        whole = True
        for piece in slices:
            taken = ranges(piece) if piece is not None and facts.input_of(piece, 0) is x else None
            if taken is None or set(taken) != {2, 3} or not all(_is_every(r, block) for r in taken.values()):
                return None
            pixels.append(taken[2].start * block + taken[3].start)
            whole = whole and all(_is_to_the_end(taken[axis], dims[axis]) for axis in (2, 3))
        channels = dims[1] if isinstance(dims[1], int) else None
        pieces = tuple(value for value in node.inputs if value is not None)
        return Match(x, pieces, block, tuple(pixels), channels, whole, facts.dtype(x), node.version or 1)

    def build(self, tape: Tape, m: Match) -> Sequence[ir.Value]:
        """The blocks, with channels in the order of the pieces."""
        blocks = tape.op("SpaceToDepth", [m.x], {"blocksize": m.block})
        if m.in_order:
            return [blocks]
        channels = np.arange(m.channels or 0)
        order = np.concatenate([pixel * (m.channels or 0) + channels for pixel in m.pixels])
        return [tape.op("Gather", [blocks, tape.constant(order.astype(np.int64))], {"axis": 1})]


def _is_every(r: Range, block: int) -> bool:
    return r.step == block and 0 <= r.start < block


def _is_to_the_end(r: Range, length: facts.Dim) -> bool:
    return r.end >= TO_THE_END or (isinstance(length, int) and r.end >= length)
