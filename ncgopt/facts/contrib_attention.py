"""Type and shape of ONNX Runtime's `com.microsoft` MultiHeadAttention (docs/ContribOperators.md)."""

from __future__ import annotations

from collections.abc import Callable

import onnx_ir as ir

from ncgopt.facts import uses
from ncgopt.facts.types import UNKNOWN, ValueType

_PACKED, _WHOLE = 3, 4


def output_type(node: ir.Node, known: Callable[[ir.Value], ValueType]) -> ValueType | None:
    """Type of the first output of `node`, `(batch, length, heads * size)`; None where it is no such operator.

    The values are `(batch, length of keys, heads * size)` or `(batch, heads, length of keys, size)`.

    Args:
        node: any node.
        known: the types of its inputs.
    """
    if (node.domain, node.op_type) != ("com.microsoft", "MultiHeadAttention"):
        return None
    query, value = uses.input_of(node, 0), uses.input_of(node, 2)
    if query is None or value is None:
        return UNKNOWN
    dtype, q, v = known(query).dtype, known(query).shape, known(value).shape
    if q is None or v is None or len(q) != _PACKED:
        return ValueType(dtype, None)
    if len(v) == _PACKED:
        return ValueType(dtype, (*q[:2], v[2]))
    heads, size = (v[1], v[3]) if len(v) == _WHOLE else (None, None)
    width = heads * size if isinstance(heads, int) and isinstance(size, int) else None
    return ValueType(dtype, (*q[:2], width))
