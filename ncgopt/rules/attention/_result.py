"""Where an attention's result goes: how far the heads are put together again behind it."""

from __future__ import annotations

import enum
from collections.abc import Callable

import numpy as np
import onnx_ir as ir

from ncgopt import facts
from ncgopt.facts.affine import producer_beside
from ncgopt.facts.rounding import fits_attribute
from ncgopt.records import record
from ncgopt.rewrite import Requires, Tape
from ncgopt.rules.attention._attention import Attention, read_attention
from ncgopt.rules.shape._permutations import permutation

_TO_LENGTH = (0, 2, 1, 3)


class Form(enum.Enum):
    """The form of a result: `(batch, heads, length, size)`, the middle axes exchanged, or these merged with the size.

    WHOLE: as the MatMul gives it. SPLIT: behind a Transpose. PACKED: behind a Transpose and a Reshape.
    """

    WHOLE = "whole"
    SPLIT = "split"
    PACKED = "packed"


@record
class Match:
    """`root` is the result of `attention` in the given form; `outer` stands between it and the MatMul."""

    attention: Attention
    form: Form
    outer: tuple[ir.Node, ...]
    root: ir.Node

    @property
    def is_closed(self) -> bool:
        """Whether nothing else reads what is computed on the way."""
        return self.attention.is_closed(self.root, self.outer)


SCALE_FITS = Requires[Match](
    "representable", "an attribute that overflows makes NaN of zeros", lambda m: fits_attribute(m.attention.scale)
)


def match(node: ir.Node, takes_packed: Callable[[Attention], bool] = lambda _: True) -> Match | None:
    """The attention that `node` gives the result of, unless what follows belongs to it too.

    Args:
        node: a MatMul, Transpose or Reshape.
        takes_packed: whether to put the heads of an attention together; otherwise it ends at its MatMul.
    """
    match node.op_type:
        case "MatMul":
            found = read_attention(node)
            if found is None or (_follower(node, "Transpose") is not None and takes_packed(found)):
                return None
            return Match(found, Form.WHOLE, (), node)
        case "Transpose":
            found = _behind_transpose(node)
            if found is None or not takes_packed(found) or _packing(node, found) is not None:
                return None
            return Match(found, Form.SPLIT, (found.product,), node)
        case _:
            turn = producer_beside(facts.input_of(node, 0), node, "Transpose")
            found = _behind_transpose(turn) if turn is not None else None
            if turn is None or found is None or not takes_packed(found) or not _packs(node, found):
                return None
            return Match(found, Form.PACKED, (found.product, turn), node)


def unpacked(tape: Tape, packed: ir.Value, m: Match) -> ir.Value:
    """`(batch, length, heads * size)` in the form that `m` asks for."""
    if m.form is Form.PACKED:
        return packed
    split = tape.op("Reshape", [packed, tape.constant(np.array([0, 0, *(m.attention.counts or ())], dtype=np.int64))])
    return split if m.form is Form.SPLIT else tape.op("Transpose", [split], {"perm": _TO_LENGTH})


def _behind_transpose(node: ir.Node) -> Attention | None:
    if permutation(node) != _TO_LENGTH:
        return None
    return read_attention(producer_beside(facts.input_of(node, 0), node, "MatMul"))


def _packs(node: ir.Node, found: Attention) -> bool:
    """Whether the Reshape `node` is known to merge heads and size, and nothing else."""
    if not found.fits or found.counts is None:
        return False
    batch, _, length, _ = found.result_dims
    heads, size = found.counts
    return facts.shape(node.outputs[0]) == (batch, length, heads * size)


def _packing(node: ir.Node, found: Attention) -> ir.Node | None:
    """The only user of `node`, if it is a Reshape that packs."""
    user = _follower(node, "Reshape")
    return user if user is not None and _packs(user, found) else None


def _follower(node: ir.Node, op_type: str) -> ir.Node | None:
    """The only user of `node`, if it is an `op_type` that exchanges or merges what heads need exchanged or merged."""
    value = node.outputs[0]
    if not facts.sole_user(value):
        return None
    user = next(iter(value.uses())).node
    if user.op_type != op_type or user.domain or user.graph is not node.graph or facts.is_kept(user):
        return None
    return user if op_type != "Transpose" or permutation(user) == _TO_LENGTH else None
