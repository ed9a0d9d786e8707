"""Scales and zero points: how many there are, along what, and whether they are in order."""

from __future__ import annotations

import numpy as np
import onnx_ir as ir

from ncgopt import facts
from ncgopt.facts.constants import Array
from ncgopt.records import record
from ncgopt.rewrite import Tape

_INTEGERS = frozenset({
    ir.DataType.UINT8, ir.DataType.INT8, ir.DataType.UINT16, ir.DataType.INT16, ir.DataType.UINT4, ir.DataType.INT4,
})  # fmt: skip
# Normal numbers of float32, with room for 2^16 of them.
_SMALLEST, _LARGEST = 2.0**-126, 2.0**111


@record
class Parameters:
    """How a `DequantizeLinear` or `QuantizeLinear` maps integers to floats: `(q - zero_point) * scale`.

    Attributes:
        dtype: of the integers; None where unknown.
        axis: the dimension along which scales differ, where there is more than one.
        block: how many neighbours along it share one; 0 for one per index.
    """

    scale: ir.Value
    zero_point: ir.Value | None
    dtype: ir.DataType | None
    axis: int | None
    block: int

    @property
    def is_single(self) -> bool:
        """Whether one scale and one zero point serve the whole tensor."""
        return is_single(self.scale) and is_single(self.zero_point)

    @property
    def zero(self) -> Array | None:
        """The zero points as int64; None where they are not constant."""
        if self.zero_point is None:
            return np.zeros((), np.int64)
        array = facts.constant(self.zero_point)
        return None if array is None else array.astype(np.int64)

    @property
    def is_scalar(self) -> bool:
        """Whether one scale and one zero point serve the whole tensor, and `pair` can give them rank 0."""
        values = [v for v in (self.scale, self.zero_point) if v is not None]
        return self.is_single and all(facts.rank(v) == 0 or facts.is_constant(v) for v in values)

    def pair(self, tape: Tape) -> tuple[ir.Value, ir.Value]:
        """Scale and zero point for an operator that must have both; of rank 0 where `is_scalar`."""
        if self.zero_point is not None:
            return _scalar(tape, self.scale), _scalar(tape, self.zero_point)
        assert self.dtype is not None
        return _scalar(tape, self.scale), tape.constant(np.zeros((), self.dtype.numpy()), name="zero_point")


def parameters(node: ir.Node) -> Parameters | None:
    """The parameters of a `DequantizeLinear` or `QuantizeLinear`; None where it computes in another precision."""
    scale = facts.input_of(node, 1)
    other = "output_dtype" if node.op_type == "DequantizeLinear" else "precision"
    if scale is None or facts.is_set(node, other):
        return None
    integers = node.inputs[0] if node.op_type == "DequantizeLinear" else node.outputs[0]
    dtype = facts.dtype(integers) if integers is not None else None
    return Parameters(scale, facts.input_of(node, 2), dtype, facts.int_attribute(node, "axis"), _block(node))


def _block(node: ir.Node) -> int:
    return (facts.int_attribute(node, "block_size") or 0) if facts.is_set(node, "block_size") else 0


def is_single(value: ir.Value | None) -> bool:
    """Whether there is one for the whole tensor; a zero point that is left out is one, and zero."""
    return value is None or facts.static(value) in ((), (1,))


def columns(matrix: ir.Value) -> int | None:
    """The last dimension of a value that has at least two; None where unknown."""
    shape = facts.shape(matrix)
    last = shape[-1] if shape is not None and len(shape) >= 2 else None
    return last if isinstance(last, int) else None


def is_per_column(value: ir.Value | None, matrix: ir.Value) -> bool:
    """Whether there is one for the whole matrix, or one per column as a vector.

    Nothing broader, so that multiplying with it cannot enlarge a product with that matrix either.
    """
    if is_single(value):
        return True
    assert value is not None
    count = columns(matrix)
    return count is not None and facts.static(value) == (count,)


def are_along(m: Parameters, tensor: ir.Value, axis: int) -> bool:
    """Whether there is one of each for the whole `tensor`, or a vector of them along `axis`."""
    shape = facts.shape(tensor)
    if m.is_single:
        return True
    if shape is None or m.axis is None or m.block or m.axis % len(shape) != axis % len(shape):
        return False
    size = shape[axis]
    return all(is_single(v) or (v is not None and facts.static(v) == (size,)) for v in (m.scale, m.zero_point))


def same_parameters(a: Parameters, b: Parameters) -> bool:
    """Whether both map the same integers to the same floats: constants of the same contents, or the same values."""
    if a.dtype is None or a.dtype != b.dtype or a.block != b.block:
        return False
    if not (a.is_single and b.is_single) and (a.axis is None or a.axis != b.axis):
        return False
    return _same(a.scale, b.scale) and (_same(a.zero_point, b.zero_point) or _same_zero(a, b))


def invertible(m: Parameters) -> bool:
    """Whether quantizing undoes dequantizing: float32 scales, positive or negative, far from zero and infinity."""
    scale = facts.constant(m.scale)
    if scale is None or scale.dtype != np.float32 or m.dtype not in _INTEGERS:
        return False
    size = np.abs(scale)
    return bool(((size >= _SMALLEST) & (size <= _LARGEST)).all())


def _scalar(tape: Tape, value: ir.Value) -> ir.Value:
    """A constant vector of one element as a number; everything else as it is."""
    array = facts.constant(value) if facts.static(value) == (1,) else None
    return value if array is None else tape.constant(array.reshape(()), name=value.name)


def _same(a: ir.Value | None, b: ir.Value | None) -> bool:
    if a is b:
        return True
    if a is None or b is None:
        return False
    left, right = facts.constant(a), facts.constant(b)
    if left is None or right is None or left.dtype != right.dtype:
        return False
    return (left.size == right.size == 1 or left.shape == right.shape) and bool((left == right).all())


def _same_zero(a: Parameters, b: Parameters) -> bool:
    """A zero point that is left out is zero."""
    left, right = a.zero, b.zero
    return left is not None and right is not None and not left.any() and not right.any()
