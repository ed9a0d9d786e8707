"""Scaled dot-product attention written in pieces: `softmax(scale * queries @ keys^T + mask) @ values`."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator

import onnx_ir as ir

from ncgopt import facts
from ncgopt.facts.affine import producer_beside
from ncgopt.facts.interior import is_closed
from ncgopt.records import record
from ncgopt.rules.attention._heads import Heads, read_heads, scale_of
from ncgopt.rules.attention._masks import Added, Mask, broadcast, read_selection

_MAX_DEPTH = 8
_RANK = 4
_FUSED_MATMUL = "com.microsoft::FusedMatMul"


@record
class Scores:
    """What goes into the softmax: `scale * queries @ keys^T`, with `masks` added, by `nodes`."""

    queries: Heads
    keys: Heads
    scale: float
    masks: tuple[Mask, ...]
    nodes: tuple[ir.Node, ...]


@record
class Attention:
    """One attention, `product` the MatMul with the values that ends it.

    Attributes:
        guarded: NaN in the softmax, which a row of nothing but minus infinity gives, is replaced by 0.
        nodes: everything between queries, keys, values, masks and the product.
    """

    queries: Heads
    keys: Heads
    values: Heads
    scale: float
    masks: tuple[Mask, ...]
    guarded: bool
    nodes: tuple[ir.Node, ...]
    product: ir.Node

    @property
    def out(self) -> ir.Value:
        """`(batch, heads, length, size of values)`."""
        return self.product.outputs[0]

    @property
    def fits(self) -> bool:
        """Whether queries, keys and values are known to agree in every dimension that they share."""
        q, k, v = self.queries.dims, self.keys.dims, self.values.dims
        if None in (*q, *k, *v) or self.counts is None:
            return False
        return q[:2] == k[:2] == v[:2] and q[3] == k[3] and k[2] == v[2]

    @property
    def counts(self) -> tuple[int, int] | None:
        """The number of heads, and the size of one in the values, where both are known numbers."""
        heads, size = self.values.dims[1], self.values.dims[3]
        return (heads, size) if isinstance(heads, int) and isinstance(size, int) else None

    @property
    def result_dims(self) -> facts.Shape:
        """The dimensions of the product, where `fits`."""
        return (*self.queries.dims[:3], self.values.dims[3])

    @property
    def scores_dims(self) -> facts.Shape:
        """The dimensions of the scores, where `fits`."""
        return (*self.queries.dims[:3], self.keys.dims[2])

    @property
    def mask_dims(self) -> facts.Shape | None:
        """The dimensions of all masks together; None where they are not certain, `()` without masks."""
        return broadcast([mask.dims for mask in self.masks])

    @property
    def mask_fits(self) -> bool:
        """Whether the masks are known to broadcast to the scores without enlarging them."""
        dims = self.mask_dims
        return dims is not None and facts.is_broadcast_of(dims, self.scores_dims)

    def is_closed(self, root: ir.Node, outer: tuple[ir.Node, ...]) -> bool:
        """Whether nothing else reads what is computed on the way to `root`, `outer` standing before it."""
        return is_closed((*self.nodes, self.product, *outer), root)


def read_attention(product: ir.Node | None) -> Attention | None:
    """The attention that ends in the MatMul `product`; None where there is none."""
    if product is None or product.op_type != "MatMul" or product.domain:
        return None
    weights, values = product.inputs
    found = _softmax(weights, product)
    v = read_heads(values, product, scaled=False)
    if found is None or v is None:
        return None
    softmax, nodes = found
    for scores in _scores(softmax.inputs[0], product, _MAX_DEPTH):
        return Attention(
            scores.queries, scores.keys, v, scores.scale, scores.masks, len(nodes) > 1, (*nodes, *scores.nodes), product
        )
    return None


def _softmax(weights: ir.Value | None, root: ir.Node) -> tuple[ir.Node, tuple[ir.Node, ...]] | None:
    """The Softmax over the last axis that gives `weights`, perhaps with NaN replaced by 0, and its nodes."""
    node = producer_beside(weights, root, "Softmax", "Where")
    if node is None:
        return None
    if node.op_type == "Softmax":
        return (node, (node,)) if facts.int_attribute(node, "axis") in (-1, _RANK - 1) else None
    condition, zero, kept = node.inputs
    test = producer_beside(condition, root, "IsNaN")
    if test is None or zero is None or facts.scalar(zero) != 0 or test.inputs[0] is not kept:
        return None
    if (facts.rank(zero) or 0) > _RANK:
        return None
    inner = _softmax(kept, root)
    return None if inner is None or len(inner[1]) > 1 else (inner[0], (node, test, *inner[1]))


def _scores(value: ir.Value | None, root: ir.Node, depth: int) -> Iterator[Scores]:
    """Each way to read `value` as scores."""
    node = producer_beside(value, root, "MatMul", _FUSED_MATMUL, "Mul", "Div", "Add", "Where")
    if node is not None and depth > 0:
        yield from _READERS[node.op_type](node, root, depth - 1)


def _matmul(node: ir.Node, root: ir.Node, depth: int) -> Iterator[Scores]:
    return _product(node, root, 1.0, transposed=True)


def _fused_matmul(node: ir.Node, root: ir.Node, depth: int) -> Iterator[Scores]:
    alpha = facts.float_attribute(node, "alpha") if facts.is_set(node, "alpha") else 1.0
    if alpha is not None and not any(_flag(node, name) for name in ("transA", "transBatchA", "transBatchB")):
        yield from _product(node, root, alpha, transposed=not _flag(node, "transB"))


def _scaled(node: ir.Node, root: ir.Node, depth: int) -> Iterator[Scores]:
    step = scale_of(node)
    if step is None:
        return
    for inner in _scores(step[0], root, depth):
        if not inner.masks:
            yield Scores(inner.queries, inner.keys, inner.scale * step[1], (), (node, *inner.nodes))


def _added(node: ir.Node, root: ir.Node, depth: int) -> Iterator[Scores]:
    a, b = node.inputs
    for scores, addend in ((a, b), (b, a)):
        if addend is not None:
            yield from (_masked(inner, Added(addend), node) for inner in _scores(scores, root, depth))


def _selected(node: ir.Node, root: ir.Node, depth: int) -> Iterator[Scores]:
    for index in (1, 2):
        selection = read_selection(node, index)
        if selection is not None:
            yield from (_masked(inner, selection, node) for inner in _scores(node.inputs[index], root, depth))


def _flag(node: ir.Node, name: str) -> bool:
    return facts.is_set(node, name) and facts.int_attribute(node, name) != 0


def _masked(inner: Scores, mask: Mask, node: ir.Node) -> Scores:
    return Scores(inner.queries, inner.keys, inner.scale, (*inner.masks, mask), (node, *inner.nodes))


def _product(node: ir.Node, root: ir.Node, factor: float, *, transposed: bool) -> Iterator[Scores]:
    queries = read_heads(node.inputs[0], root)
    keys = read_heads(node.inputs[1], root, transposed=transposed)
    if queries is not None and keys is not None:
        scale = factor * queries.factor * keys.factor
        if math.isfinite(scale):
            yield Scores(queries, keys, scale, (), (node,))


_READERS: dict[str, Callable[[ir.Node, ir.Node, int], Iterator[Scores]]] = {
    "MatMul": _matmul,
    "FusedMatMul": _fused_matmul,
    "Mul": _scaled,
    "Div": _scaled,
    "Add": _added,
    "Where": _selected,
}
