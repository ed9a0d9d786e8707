"""Every value there is: for terms of so few bits that all of them can be tried, computed as numpy computes."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from proofs.terms import Term, numpy_type

BITS = 16
"""Of all symbols of a question together."""


def values_that_differ(a: Term, b: Term) -> str | None:
    """Empty where both agree for every value, a value where not; None where there are too many values, or operators."""
    symbols: dict[Term, int] = {}
    operators: set[str] = set()
    todo = [a, b]
    while todo:
        term = todo.pop()
        if term.op == "symbol":
            symbols[term] = _width(term)
        elif term.op != "constant":
            operators.add(term.op)
        todo += term.args
    if sum(symbols.values()) > BITS or not operators <= _MEANING.keys():
        return None
    axes = np.meshgrid(*(_all_values(s) for s in symbols), indexing="ij")
    at = dict(zip(symbols, (axis.reshape(-1) for axis in axes), strict=True))
    with np.errstate(all="ignore"):
        x, y = np.broadcast_arrays(_value(a, at), _value(b, at))
    differs = (x != y) & ~((x != x) & (y != y))
    if x.dtype.kind == "f":
        differs |= np.signbit(x) != np.signbit(y)
    return f"{[v[differs][0] for v in at.values()]}" if differs.any() else ""


def _width(term: Term) -> int:
    dtype = numpy_type(term.elem)
    return 1 if dtype == np.bool_ else 8 * dtype.itemsize if dtype.kind in "iuf" else BITS + 1


def _all_values(term: Term) -> np.ndarray:
    dtype = numpy_type(term.elem)
    if dtype == np.bool_:
        return np.array([False, True])
    return np.arange(1 << (8 * dtype.itemsize), dtype=f"u{dtype.itemsize}").view(dtype)


def _value(term: Term, at: dict[Term, np.ndarray]) -> np.ndarray:
    if term.op == "symbol":
        return at[term]
    if term.op == "constant":
        return np.asarray(term.value)
    return np.asarray(_MEANING[term.op](term, *(_value(arg, at) for arg in term.args)))


def _dequantize(term: Term, x, scale, zero) -> np.ndarray:
    return (x.astype(np.int64) - zero.astype(np.int64)).astype(scale.dtype) * scale


def _quantize(term: Term, x, scale, zero) -> np.ndarray:
    # NaN goes to the lower end: the specification says nothing, ONNX Runtime does so in every type.
    ends = np.iinfo(zero.dtype)
    steps = np.rint(x / scale) + zero.astype(np.float64)
    return np.clip(np.where(np.isnan(steps), ends.min, steps), ends.min, ends.max).astype(zero.dtype)


_MEANING: dict[str, Callable[..., np.ndarray]] = {
    "DequantizeLinear": _dequantize,
    "QuantizeLinear": _quantize,
    "MaxPool": lambda term, *row: np.maximum.reduce(np.broadcast_arrays(*row)),
    "Neg": lambda term, x: -x,
    "Abs": lambda term, x: np.abs(x),
    "Not": lambda term, x: ~x,
    "And": lambda term, x, y: x & y,
}
