"""Rotary position embeddings written in pieces: `x cos + rotate_half(x) sin`.

Su et al., RoFormer: Enhanced Transformer with Rotary Position Embedding, 2021 (arXiv:2104.09864), in the
form of GPT-NeoX and Llama, where element k of a head turns together with element k + size / 2.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterator

import onnx_ir as ir

from ncgopt import facts
from ncgopt.facts.affine import producer_beside
from ncgopt.facts.elements import known_elements
from ncgopt.facts.interior import is_closed
from ncgopt.facts.operands import ints_operand, normalized_axes
from ncgopt.records import record
from ncgopt.rewrite import Pays, Requires
from ncgopt.rules.rotary._angles import Half, half_of

_SERVED = frozenset({ir.DataType.FLOAT, ir.DataType.FLOAT16})


@record
class Match:
    """`root` is x `[batch, heads, positions, 2 size]`, each head turned by the angles of its position.

    Attributes:
        cos, sin: the tables, broadcast against x.
        halves: of both.
    """

    x: ir.Value
    cos: ir.Value
    sin: ir.Value
    halves: tuple[Half, Half]
    nodes: tuple[ir.Node, ...]
    root: ir.Node

    @property
    def positions(self) -> facts.Dim:
        """The length of x along the positions."""
        dims = facts.shape(self.x)
        return None if dims is None else dims[-2]


def _one_row_per_position(m: Match) -> bool:
    for table in (m.cos, m.sin):
        dims = facts.shape(table)
        if dims is None or len(dims) < 2 or len(dims) > 4 or m.positions is None or dims[-2] != m.positions:
            return False
        if any(d != 1 for d in dims[:-2]):
            return False
    return True


REQUIRES = (
    Requires[Match](
        "served-type",
        "ONNX Runtime has the operator for float32 and float16",
        lambda m: facts.dtype(m.x) in _SERVED,
    ),
    Requires[Match](
        "one-row-per-position", "the tables hold one row for each position of x, for all heads", _one_row_per_position
    ),
)
PAYS = (
    Pays[Match](
        "sole-users", "intermediate values would be computed on their own too", lambda m: is_closed(m.nodes, m.root)
    ),
)


def match(root: ir.Node) -> Match | None:
    """Bind x and the tables where `root` adds both products."""
    products = [producer_beside(v, root, "Mul") for v in root.inputs]
    for straight, crossed in (products, products[::-1]):
        if straight is None or crossed is None:
            continue
        for (x, cos), (turned, sin) in itertools.product(_both(straight), _both(crossed)):
            found = _rotated_half(turned, x, root) if x is not None and turned is not None else None
            if x is None or cos is None or sin is None or found is None:
                continue
            size, nodes = found
            halves = half_of(cos, size, root), half_of(sin, size, root)
            if halves[0] is not None and halves[1] is not None:
                return Match(x, cos, sin, (halves[0], halves[1]), (root, straight, crossed, *nodes), root)
    return None


def _both(node: ir.Node) -> Iterator[tuple[ir.Value | None, ir.Value | None]]:
    a, b = node.inputs
    yield a, b
    yield b, a


def _rotated_half(value: ir.Value, x: ir.Value, root: ir.Node) -> tuple[int, tuple[ir.Node, ...]] | None:
    """Half the size of a head, and the operators, where `value` is `[-second half, first half]` of x."""
    concat, dims = producer_beside(value, root, "Concat"), facts.shape(x)
    if concat is None or len(concat.inputs) != 2 or dims is None or len(dims) != 4:
        return None
    if facts.int_attribute(concat, "axis") not in (-1, 3) or not isinstance(dims[-1], int) or dims[-1] % 2:
        return None
    size = dims[-1] // 2
    negation = _negation(concat.inputs[0], root)
    if negation is None:
        return None
    first, second = _part(concat.inputs[1], x, root), _part(negation[0], x, root)
    if first is None or second is None or first[0] != (0, size) or second[0] != (size, 2 * size):
        return None
    return size, (concat, negation[1], first[1], second[1])


def _negation(value: ir.Value | None, root: ir.Node) -> tuple[ir.Value, ir.Node] | None:
    node = producer_beside(value, root, "Neg", "Mul")
    for operand in node.inputs if node is not None else ():
        others = [v for v in node.inputs if v is not operand] if node is not None else []
        if node is not None and operand is not None and all(_is_minus_one(v) for v in others):
            return (operand, node) if node.op_type == "Neg" or others else None
    return None


def _is_minus_one(value: ir.Value | None) -> bool:
    return value is not None and facts.scalar(value) == -1 and (facts.rank(value) or 0) <= 1


def _part(value: ir.Value | None, x: ir.Value, root: ir.Node) -> tuple[tuple[int, int], ir.Node] | None:
    """Which elements along the last axis of x `value` holds, `start, end`, and by which operator."""
    node = producer_beside(value, root, "Slice", "Split")
    dims = facts.shape(x)
    if node is None or value is None or dims is None or node.inputs[0] is not x or not isinstance(dims[-1], int):
        return None
    if node.op_type == "Slice":
        bounds = _slice(node, len(dims), dims[-1])
        return None if bounds is None else (bounds, node)
    if facts.int_attribute(node, "axis") not in (-1, len(dims) - 1) or len(node.outputs) != 2:
        return None
    sizes = [facts.shape(part) for part in node.outputs]
    if any(s is None or s[-1] != dims[-1] // 2 for s in sizes):
        return None
    start = 0 if value is node.outputs[0] else dims[-1] // 2
    return (start, start + dims[-1] // 2), node


def _slice(node: ir.Node, rank: int, size: int) -> tuple[int, int] | None:
    """The bounds of a Slice along the last axis alone, its ends also where they are computed from shapes."""
    starts, ends, axes, steps = (
        _bounds(node, name, k) for k, name in enumerate(("starts", "ends", "axes", "steps"), 1)
    )
    if starts is None or ends is None or axes is None or len(starts) != 1 or len(ends) != 1:
        return None
    if normalized_axes(axes, rank) != (rank - 1,) or (facts.input_of(node, 4) is not None and steps != (1,)):
        return None
    start, end = starts[0], ends[0]
    start, end = (n + size if n < 0 else n for n in (start, end))
    return (start, min(end, size)) if 0 <= start <= size and end >= 0 else None


def _bounds(node: ir.Node, name: str, index: int) -> tuple[int, ...] | None:
    value = facts.input_of(node, index)
    return ints_operand(node, name, index) if value is None else known_elements(value)
