"""Queries, keys and values split into heads, and how much of the splitting an operator can take in."""

from __future__ import annotations

import math

import numpy as np
import onnx_ir as ir

from ncgopt import facts
from ncgopt.facts.affine import producer_beside
from ncgopt.records import record
from ncgopt.rewrite import Tape
from ncgopt.rules.shape._permutations import permutation

_TO_HEADS = (0, 2, 1, 3)


@record
class Heads:
    """A tensor of shape `(batch, heads, length, size)`, or what it is made from.

    Attributes:
        whole: the tensor itself; None where only its transpose over the last two axes exists, or where it
            is scaled before it is split.
        split: `(batch, length, heads, size)`, whose axes 1 and 2 were exchanged; None where there is none,
            or where it is scaled.
        packed: `(batch, length, heads * size)`, which was reshaped into `split`; None where there is none.
        dims: the four dimensions, as far as they are known.
        factor: what was multiplied by on the way, and is not in the three values above.
    """

    whole: ir.Value | None
    split: ir.Value | None
    packed: ir.Value | None
    dims: facts.Shape
    factor: float = 1.0

    def as_packed(self, tape: Tape) -> ir.Value:
        """The `(batch, length, heads * size)` form; heads and size must be known."""
        if self.packed is not None:
            return self.packed
        split = self.split
        if split is None:
            split = tape.op("Transpose", [self.whole], {"perm": _TO_HEADS})
        return merged(tape, split, self.dims)

    def as_whole(self, tape: Tape) -> ir.Value:
        """The `(batch, heads, length, size)` form."""
        if self.whole is not None:
            return self.whole
        split = self.split
        if split is None:
            _, heads, _, size = self.dims
            assert isinstance(heads, int)
            assert isinstance(size, int)
            split = tape.op("Reshape", [self.packed, tape.constant(np.array([0, 0, heads, size], dtype=np.int64))])
        return tape.op("Transpose", [split], {"perm": _TO_HEADS})

    @property
    def packing(self) -> int:
        """Operators it takes to pack: none, a Reshape, or a Transpose and a Reshape."""
        return 0 if self.packed is not None else 1 if self.split is not None else 2

    @property
    def unpacking(self) -> int:
        """Operators it takes to have it whole: none, a Transpose, or a Reshape and a Transpose."""
        return 0 if self.whole is not None else 1 if self.split is not None else 2


def ungrouped(heads: Heads, root: ir.Node) -> Heads | None:
    """The heads of which every one of `heads` is repeated some times in a row; None where that is not known.

    PyTorch writes `repeat_kv` as `Reshape(Expand(Unsqueeze(x, 2), (b, n, g, l, h)), (b, n * g, l, h))`.
    """
    back = producer_beside(heads.whole, root, "Reshape")
    wide = producer_beside(facts.input_of(back, 0), root, "Expand") if back is not None else None
    single = facts.input_of(wide, 0) if wide is not None else None
    node = producer_beside(single, root, "Unsqueeze", "Reshape")
    x = facts.input_of(node, 0) if node is not None else None
    batch, count, length, size = heads.dims
    if wide is None or single is None or x is None or None in heads.dims or not isinstance(count, int):
        return None
    dims, repeated = facts.shape(x), facts.shape(wide.outputs[0])
    if (
        dims is None
        or repeated is None
        or len(dims) != len(heads.dims)
        or (dims[0], *dims[2:]) != (batch, length, size)
    ):
        return None
    few = dims[1]
    if not isinstance(few, int) or few == 0 or count % few or dims != (batch, few, length, size):
        return None
    if facts.shape(single) != (batch, few, 1, length, size):
        return None
    return read_heads(x, root, scaled=False) if repeated == (batch, few, count // few, length, size) else None


def read_heads(value: ir.Value | None, root: ir.Node, *, transposed: bool = False, scaled: bool = True) -> Heads | None:
    """`value` as heads; None where its rank is not known to be 4.

    Args:
        value: `(batch, heads, length, size)`, or `(batch, heads, size, length)` if `transposed`.
        root: what is matched stands in the graph of this node.
        transposed: the last two axes are exchanged; some Transpose must do it.
        scaled: look through multiplications by constant numbers.
    """
    inner, factor = unscaled(value, root) if scaled else (value, 1.0)
    if inner is None:
        return None
    found = _read_transposed(inner, root) if transposed else _read(inner, root)
    if found is None:
        return None
    packed, more = _read_packed(found, root, scaled=scaled)
    factor *= found.factor * more
    if more != 1:  # what was split is scaled already
        return Heads(None, None, packed, found.dims, factor)
    return Heads(found.whole, found.split, packed, found.dims, factor)


def unscaled(value: ir.Value | None, root: ir.Node) -> tuple[ir.Value | None, float]:
    """`value` without multiplications and divisions by constant numbers, and the number they amount to."""
    factor = 1.0
    while (node := producer_beside(value, root, "Mul", "Div")) is not None:
        step = scale_of(node)
        if step is None:
            break
        value, factor = step[0], factor * step[1]
    return value, factor


def scale_of(node: ir.Node) -> tuple[ir.Value, float] | None:
    """What a Mul or Div by one constant number scales, and by how much; None for anything else."""
    a, b = node.inputs
    orders = ((a, b), (b, a)) if node.op_type == "Mul" else ((a, b),)
    for x, constant in orders:
        number = facts.scalar(constant) if constant is not None else None
        if x is None or constant is None or number is None or (facts.rank(constant) or 0) > (facts.rank(x) or 0):
            continue
        factor = float(number) if node.op_type == "Mul" else 1 / float(number) if number else math.inf
        if math.isfinite(factor):
            return x, factor
    return None


def merged(tape: Tape, split: ir.Value, dims: facts.Shape) -> ir.Value:
    """`(batch, length, heads, size)` as `(batch, length, heads * size)`; `dims` in the order of `Heads.dims`."""
    _, heads, _, size = dims
    assert isinstance(heads, int)
    assert isinstance(size, int)
    return tape.op("Reshape", [split, tape.constant(np.array([0, 0, heads * size], dtype=np.int64))])


def _read(value: ir.Value, root: ir.Node) -> Heads | None:
    node = producer_beside(value, root, "Transpose")
    if node is not None and permutation(node) == _TO_HEADS:
        return Heads(value, node.inputs[0], None, _dims(value, (0, 1, 2, 3)))
    return Heads(value, None, None, _dims(value, (0, 1, 2, 3))) if facts.rank(value) == 4 else None


def _read_transposed(value: ir.Value, root: ir.Node) -> Heads | None:
    node = producer_beside(value, root, "Transpose")
    source = facts.input_of(node, 0) if node is not None else None
    if node is not None and source is not None:
        perm = permutation(node)
        if perm == (0, 2, 3, 1):
            return Heads(None, source, None, _dims(value, (0, 1, 3, 2)))
        if perm == (0, 1, 3, 2):
            return read_heads(source, root)
    flattened = _transposed_flat(value, root)
    return read_heads(flattened, root) if flattened is not None else None


def _transposed_flat(value: ir.Value, root: ir.Node) -> ir.Value | None:
    """What PyTorch's exporter transposes over its last two axes by way of three dimensions.

    `Reshape(Transpose(Reshape(x, (-1, l, h)), (0, 2, 1)), (b, n, h, l))` with x of shape `(b, n, l, h)`.
    """
    back = producer_beside(value, root, "Reshape")
    turn = producer_beside(facts.input_of(back, 0), root, "Transpose") if back is not None else None
    flat = producer_beside(facts.input_of(turn, 0), root, "Reshape") if turn is not None else None
    x = facts.input_of(flat, 0) if flat is not None else None
    if turn is None or flat is None or x is None or permutation(turn) != (0, 2, 1):
        return None
    before, between, after = facts.shape(x), facts.shape(flat.outputs[0]), facts.shape(value)
    if before is None or between is None or after is None or None in (*before, *between[1:]):
        return None
    same = len(before) == 4 and between[1:] == before[2:] and after == (*before[:2], before[3], before[2])
    return x if same else None


def _read_packed(found: Heads, root: ir.Node, *, scaled: bool) -> tuple[ir.Value | None, float]:
    if found.packed is not None:
        return found.packed, 1.0
    node = producer_beside(found.split, root, "Reshape") if found.split is not None else None
    packed = facts.input_of(node, 0) if node is not None else None
    batch, heads, length, size = found.dims
    if packed is None or batch is None or length is None or not isinstance(heads, int) or not isinstance(size, int):
        return None, 1.0
    if facts.shape(packed) != (batch, length, heads * size):
        return None, 1.0
    inner, factor = unscaled(packed, root) if scaled else (packed, 1.0)
    return (inner, factor) if facts.shape(inner or packed) == (batch, length, heads * size) else (packed, 1.0)


def _dims(value: ir.Value, order: tuple[int, ...]) -> facts.Shape:
    dims = facts.shape(value)
    return (None,) * 4 if dims is None or len(dims) != 4 else tuple(dims[k] for k in order)
