"""Element types and shapes, as far as they follow from the model's inputs and constants.

They are derived node by node (`knowledge`), from the declared inputs of the main graph and the
constants, never from `value_info`: ONNX Runtime does not enforce a declared inner shape. A declared
inner *element type* it does enforce when it loads a model, so that one serves where nothing better
is known.

Why not ONNX's whole-model inference, or a package on top of it: ONNX's loses every size that is
computed from another one; onnx-shape-inference follows more, but gives up at
`Expand(x, Where(Equal(shape, -1), ...))`, where TorchScript's exports begin, and needs a computer
algebra system for it.
"""

from __future__ import annotations

import onnx_ir as ir

from ncgopt.facts.knowledge import known
from ncgopt.facts.symbols import Dim as Dim
from ncgopt.facts.types import Shape as Shape

_FLOATS = frozenset({ir.DataType.FLOAT, ir.DataType.DOUBLE, ir.DataType.FLOAT16, ir.DataType.BFLOAT16})


def dtype(value: ir.Value) -> ir.DataType | None:
    """Element type of a tensor; None for unknown and for anything that is no tensor."""
    return known(value).type.dtype


def shape(value: ir.Value) -> Shape | None:
    """The dimensions, each a size, a symbol or None; None where not even the rank is known."""
    return known(value).type.shape


def rank(value: ir.Value) -> int | None:
    """Number of dimensions."""
    dims = shape(value)
    return None if dims is None else len(dims)


def static(value: ir.Value) -> tuple[int, ...] | None:
    """The shape where every dimension is a known number."""
    dims = shape(value)
    if dims is None:
        return None
    sizes = tuple(d for d in dims if isinstance(d, int))
    return sizes if len(sizes) == len(dims) else None


def is_float(value: ir.Value) -> bool:
    """Whether the elements are known to be floating point (8-bit kinds and complex left out)."""
    return dtype(value) in _FLOATS


def is_integer(value: ir.Value) -> bool:
    """Whether the elements are known to be integers (bool is none)."""
    kind = dtype(value)
    return kind is not None and kind != ir.DataType.BOOL and kind.is_integer()


def known_size(value: ir.Value) -> int | None:
    """Number of elements where the shape is static."""
    dims = static(value)
    if dims is None:
        return None
    size = 1
    for d in dims:
        size *= d
    return size


def same_shape(a: ir.Value, b: ir.Value) -> bool:
    """Whether both shapes are fully known (symbols included) and equal."""
    left, right = shape(a), shape(b)
    return left is not None and None not in left and left == right


def same_dtype(a: ir.Value, b: ir.Value) -> bool:
    """Whether both element types are known and equal."""
    return dtype(a) is not None and dtype(a) == dtype(b)


def is_broadcast_of(small: Shape | None, large: Shape | None) -> bool:
    """Whether broadcasting `small` against `large` certainly yields just `large`."""
    if small is None or large is None or len(small) > len(large):
        return False
    return all(s == 1 or (s is not None and s == d) for s, d in zip(reversed(small), reversed(large), strict=False))
