"""What small integer tensors hold where they are computed from shapes: sizes, symbols, unknowns.

Exporters write `Reshape(x, Concat(Shape(x)[0], 12, -1))`; this follows such arithmetic back to the
dimensions it came from, so that a rule can compare the target with the shape of x symbol by symbol.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import onnx_ir as ir

from ncgopt.facts import attributes, constants, operands, shapes, uses

_MAX_ELEMENTS = 64
_MAX_DEPTH = 12  # a chain of shape arithmetic; also bounds the work where branches fan out


def elements(value: ir.Value | None) -> shapes.Shape | None:
    """The elements of an integer tensor of rank 0 or 1, each a number, the symbol of a size, or None.

    None for other tensors and where not even the number of elements is known.
    """
    return _elements(value, _MAX_DEPTH)


def _elements(value: ir.Value | None, depth: int) -> shapes.Shape | None:
    if value is None or depth == 0:
        return None
    if constants.is_constant(value):
        return _constant(value)
    node = uses.producer(value)
    follow = _BY_OPERATOR.get(node.op_type) if node is not None and not node.domain else None
    found = follow(node, depth - 1) if follow is not None and node is not None else None
    if found is None:
        return _unknown(value)
    return found if len(found) <= _MAX_ELEMENTS else None


def _unknown(value: ir.Value) -> shapes.Shape | None:
    size = shapes.known_size(value) if shapes.rank(value) in (0, 1) and shapes.is_integer(value) else None
    return (None,) * size if size is not None and size <= _MAX_ELEMENTS else None


def _constant(value: ir.Value) -> shapes.Shape | None:
    size, rank = shapes.known_size(value), shapes.rank(value)
    if size is None or size > _MAX_ELEMENTS or rank not in (0, 1):
        return None
    array = constants.constant(value)
    if array is None or array.dtype.kind not in "iu":
        return None
    return tuple(int(n) for n in array.reshape(-1))


def _shape(node: ir.Node, depth: int) -> shapes.Shape | None:
    x = uses.input_of(node, 0)
    dims = shapes.shape(x) if x is not None else None
    start = attributes.int_attribute(node, "start") if attributes.is_set(node, "start") else 0
    end = attributes.int_attribute(node, "end") if attributes.is_set(node, "end") else 2**31
    return None if dims is None or start is None or end is None else dims[start:end]


def _size(node: ir.Node, depth: int) -> shapes.Shape | None:
    x = uses.input_of(node, 0)
    return (shapes.known_size(x),) if x is not None else None


def _same(node: ir.Node, depth: int) -> shapes.Shape | None:
    return _elements(uses.input_of(node, 0), depth)


def _cast(node: ir.Node, depth: int) -> shapes.Shape | None:
    x, to = uses.input_of(node, 0), attributes.int_attribute(node, "to")
    found = _elements(x, depth)
    if found is None or to not in (ir.DataType.INT64, ir.DataType.INT32):
        return None
    largest = 2**31 if to == ir.DataType.INT32 else 2**63
    return tuple(n if not isinstance(n, int) or -largest <= n < largest else None for n in found)


def _reshape(node: ir.Node, depth: int) -> shapes.Shape | None:
    rank = shapes.rank(node.outputs[0])
    return _same(node, depth) if rank in (0, 1) else None


def _gather(node: ir.Node, depth: int) -> shapes.Shape | None:
    source, index = _elements(uses.input_of(node, 0), depth), _constant_input(node, 1)
    if source is None or index is None or attributes.int_attribute(node, "axis") not in (0, -1):
        return None
    if not all(-len(source) <= k < len(source) for k in index):
        return None
    return tuple(source[k] for k in index)


def _constant_input(node: ir.Node, index: int) -> Sequence[int] | None:
    value = uses.input_of(node, index)
    if value is None or not constants.is_constant(value) or shapes.rank(value) not in (0, 1):
        return None
    return operands.ints_operand(node, "", index)


def _slice(node: ir.Node, depth: int) -> shapes.Shape | None:
    source = _elements(uses.input_of(node, 0), depth)
    starts, ends = operands.ints_operand(node, "starts", 1), operands.ints_operand(node, "ends", 2)
    if source is None or starts is None or ends is None or len(starts) != 1 or len(ends) != 1:
        return None
    axes = operands.ints_operand(node, "axes", 3) if operands.is_given(node, "axes", 3) else (0,)
    steps = operands.ints_operand(node, "steps", 4) if operands.is_given(node, "steps", 4) else (1,)
    if axes not in ((0,), (-1,)) or steps is None or len(steps) != 1 or steps[0] < 1:
        return None  # backwards, ONNX and Python clamp the ends differently
    return source[starts[0] : ends[0] : steps[0]]


def _concat(node: ir.Node, depth: int) -> shapes.Shape | None:
    parts = [_elements(v, depth) for v in node.inputs]
    found: list[shapes.Dim] = []
    for part in parts:
        if part is None:
            return None
        found.extend(part)
    return tuple(found)


def _arithmetic(compute: Callable[[int, int], int | None], neutral: int, *, commutes: bool) -> _Follow:
    def follow(node: ir.Node, depth: int) -> shapes.Shape | None:
        a, b = (_elements(uses.input_of(node, k), depth) for k in (0, 1))
        if a is None or b is None or (len(a) != len(b) and 1 not in (len(a), len(b))):
            return None
        length = max(len(a), len(b)) if 0 not in (len(a), len(b)) else 0
        a, b = (e * length if len(e) == 1 else e for e in (a, b))
        return tuple(one(x, y) for x, y in zip(a, b, strict=True))

    def one(x: shapes.Dim, y: shapes.Dim) -> shapes.Dim:
        if isinstance(x, int) and isinstance(y, int):
            result = compute(x, y)
            # Beyond int32 the element type would decide about wrapping around.
            return result if result is not None and abs(result) < 2**31 else None
        if y == neutral:
            return x
        return y if commutes and x == neutral else None

    return follow


def _quotient(x: int, y: int) -> int | None:
    """Where neither is negative all rounding modes agree."""
    return x // y if x >= 0 and y > 0 else None


_Follow = Callable[[ir.Node, int], shapes.Shape | None]

_BY_OPERATOR: dict[str, _Follow] = {
    "Shape": _shape,
    "Size": _size,
    "Identity": _same,
    "Cast": _cast,
    "Squeeze": _reshape,
    "Unsqueeze": _reshape,
    "Reshape": _reshape,
    "Gather": _gather,
    "Slice": _slice,
    "Concat": _concat,
    "Mul": _arithmetic(lambda x, y: x * y, 1, commutes=True),
    "Add": _arithmetic(lambda x, y: x + y, 0, commutes=True),
    "Sub": _arithmetic(lambda x, y: x - y, 0, commutes=False),
    "Div": _arithmetic(_quotient, 1, commutes=False),
}


def known_elements(value: ir.Value | None) -> tuple[int, ...] | None:
    """The elements where every one is a known number."""
    found = elements(value)
    if found is None:
        return None
    numbers = tuple(n for n in found if isinstance(n, int))
    return numbers if len(numbers) == len(found) else None
