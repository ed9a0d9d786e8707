"""What kinds of numbers are among a model's weights, found out in pieces: no weight is held as a whole."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import onnx_ir as ir

from ncgopt.model.ondisk import FileTensor
from ncgopt.model.tensors import SparseTensor

_FLOATS = frozenset(
    {
        ir.DataType.FLOAT,
        ir.DataType.DOUBLE,
        ir.DataType.FLOAT16,
        ir.DataType.BFLOAT16,
        ir.DataType.COMPLEX64,
        ir.DataType.COMPLEX128,
    }
)
_SMALLEST = {
    ir.DataType.FLOAT: float(np.finfo(np.float32).tiny),
    ir.DataType.DOUBLE: float(np.finfo(np.float64).tiny),
    ir.DataType.FLOAT16: float(np.finfo(np.float16).tiny),
    ir.DataType.BFLOAT16: float(np.finfo(np.float32).tiny),
}
"""The smallest normal number of a type; bfloat16 has the exponents of float32."""
_PIECE = 1 << 20  # elements of a tensor in memory that are looked at together


@dataclass(frozen=True)
class Numbers:
    """How many elements of a tensor are NaN, infinite, or denormal (not zero, and smaller than any normal number)."""

    nan: int = 0
    infinite: int = 0
    denormal: int = 0


def numbers(tensor: ir.TensorProtocol) -> Numbers:
    """Count them; a type without such numbers (integers, strings, 8-bit and smaller floats) has none.

    Raises:
        InputUnreadable: the file that holds the elements cannot be read any more.
    """
    if tensor.dtype not in _FLOATS:
        return Numbers()
    if isinstance(tensor, SparseTensor):
        return numbers(tensor.values)
    smallest = _SMALLEST.get(tensor.dtype, 0.0)
    nan = infinite = denormal = 0
    for piece in _pieces(tensor):
        size = np.abs(piece)
        finite = np.isfinite(size)
        broken = piece.size - int(np.count_nonzero(finite))
        if broken:
            unknown = int(np.count_nonzero(np.isnan(piece)))
            nan, infinite = nan + unknown, infinite + broken - unknown
        if smallest:
            denormal += int(np.count_nonzero((size < smallest) & (size > 0)))
    return Numbers(nan, infinite, denormal)


def _pieces(tensor: ir.TensorProtocol) -> Iterator[npt.NDArray[Any]]:
    """The elements, flat; those of a file are views into it, and the system drops pages that were looked at."""
    flat = (tensor.view() if isinstance(tensor, FileTensor) else np.asarray(tensor.numpy())).reshape(-1)
    for start in range(0, flat.size, _PIECE):
        piece = flat[start : start + _PIECE]
        yield piece.astype(np.float32) if tensor.dtype in {ir.DataType.BFLOAT16, ir.DataType.FLOAT16} else piece
