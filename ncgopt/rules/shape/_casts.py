"""Which conversions between element types lose nothing."""

from __future__ import annotations

from onnx_ir import DataType as T

_SIGNED = (T.INT8, T.INT16, T.INT32, T.INT64)
_UNSIGNED = (T.UINT8, T.UINT16, T.UINT32, T.UINT64)
_INTEGERS = frozenset((*_SIGNED, *_UNSIGNED))
_FLOATS = frozenset((T.FLOAT16, T.BFLOAT16, T.FLOAT, T.DOUBLE))

PLAIN = _INTEGERS | _FLOATS | {T.BOOL, T.STRING}
"""Types whose conversion to themselves is the identity in every implementation."""

_WIDER: dict[T, frozenset[T]] = {
    T.BOOL: _INTEGERS | _FLOATS,
    T.FLOAT16: frozenset((T.FLOAT, T.DOUBLE)),
    T.BFLOAT16: frozenset((T.FLOAT, T.DOUBLE)),
    T.FLOAT: frozenset((T.DOUBLE,)),
    T.INT8: frozenset((*_SIGNED, *_FLOATS)) - {T.INT8},
    T.INT16: frozenset((T.INT32, T.INT64, T.FLOAT, T.DOUBLE)),
    T.INT32: frozenset((T.INT64, T.DOUBLE)),
    T.UINT8: (_INTEGERS | _FLOATS) - {T.UINT8, T.INT8},
    T.UINT16: frozenset((T.INT32, T.INT64, T.UINT32, T.UINT64, T.FLOAT, T.DOUBLE)),
    T.UINT32: frozenset((T.INT64, T.UINT64, T.DOUBLE)),
}
"""For each type the others that hold all of its values: bfloat16 has 8 significant bits, float16 11,
float 24, double 53."""


def is_lossless(a: T, b: T) -> bool:
    """Whether every value of type `a` is one of type `b`."""
    return a == b or b in _WIDER.get(a, frozenset())


def passes_through(a: T, b: T, c: T) -> bool:
    """Whether `a` -> `b` -> `c` gives the same as `a` -> `c` for every value of `a`.

    `b` must hold all values of `a`; then both ways convert the same number to `c`. That leaves the
    conversions which do not depend on the number alone: out of the range of an integer type ONNX
    defines only integers (they wrap around), and implementations convert wide integers to half
    precision through float, rounding twice.
    """
    if c not in PLAIN or T.STRING in (a, c) or not is_lossless(a, b):
        return False
    if is_lossless(a, c) or c == T.BOOL:
        return True
    if a in _INTEGERS and b in _INTEGERS:
        return True
    if a in _INTEGERS:
        return c in (T.FLOAT, T.DOUBLE)
    return c in _FLOATS
