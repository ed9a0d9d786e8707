"""A dense layer, in whichever operators it is written: Gemm, MatMul, MatMul and Add."""

from __future__ import annotations

import functools
from typing import Any

import numpy as np
import onnx_ir as ir

from ncgopt import facts
from ncgopt.facts.affine import per_channel, producer_beside
from ncgopt.facts.constants import Array
from ncgopt.facts.rounding import rounded
from ncgopt.records import record
from ncgopt.rewrite import Tape


@record
class Dense:
    """`out = x @ matrix + row` with constant weights `[inputs, outputs]` and a constant bias or none.

    Attributes:
        product: the Gemm or MatMul.
        add: the Add of the bias, after a MatMul only.
        bias: the bias as it is stored.
        shape: of the output; as much of its end as is known, the number of outputs always.
    """

    product: ir.Node
    add: ir.Node | None
    x: ir.Value
    weight: ir.Value
    bias: ir.Value | None
    alpha: float
    beta: float
    transposes_x: bool
    transposes_weight: bool
    shape: facts.Shape

    @property
    def out(self) -> ir.Value:
        """The output of the layer."""
        return (self.add or self.product).outputs[0]

    @property
    def nodes(self) -> tuple[ir.Node, ...]:
        """The nodes it consists of."""
        return (self.product,) if self.add is None else (self.product, self.add)

    @property
    def is_private(self) -> bool:
        """Whether nothing but the layer itself uses what lies between its nodes."""
        return self.add is None or facts.sole_user(self.product.outputs[0])

    @property
    def inputs(self) -> int:
        """Number of rows of the matrix."""
        return self._sizes[1 if self.transposes_weight else 0]

    @property
    def outputs(self) -> int:
        """Number of columns of the matrix."""
        return self._sizes[0 if self.transposes_weight else 1]

    @property
    def stored(self) -> Array:
        """The weights as they are stored."""
        array = facts.constant(self.weight)
        if array is None:
            raise ValueError("the weights are not constant")
        return array

    @property
    def dtype(self) -> np.dtype[Any]:
        """The element type of everything in the layer."""
        dtype = facts.dtype(self.weight)
        return self.stored.dtype if dtype is None else dtype.numpy()

    @functools.cached_property
    def matrix(self) -> Array:
        """The weights in float64, `[inputs, outputs]`, alpha multiplied in."""
        exact = self.stored.astype(np.float64)
        if self.alpha != 1:
            exact *= self.alpha
        return exact.T if self.transposes_weight else exact

    @functools.cached_property
    def row(self) -> Array | None:
        """The bias in float64, `[outputs]`, beta multiplied in, zeros where there is none; None where rows differ."""
        if self.bias is None:
            return np.zeros(self.outputs)
        found = per_channel(self.bias, self.shape, -1)
        return None if found is None else found * self.beta

    def rebuilt(self, tape: Tape, matrix: Array, row: Array | None) -> ir.Value:
        """Record the same operators with other weights and bias (None: no bias), rounded to the layer's type."""
        stored = matrix.T if self.transposes_weight else matrix
        weight = tape.constant(rounded(stored, self.dtype), name=self.weight.name)
        bias = self.rounded_bias(tape, row)
        if self.product.op_type == "Gemm":
            return gemm(tape, self.x, weight, bias, self.transposes_x, self.transposes_weight)
        product = tape.op("MatMul", [self.x, weight], name=self.product.name)
        return product if bias is None else tape.op("Add", [product, bias])

    @property
    def _sizes(self) -> tuple[int, ...]:
        sizes = facts.static(self.weight)
        if sizes is None:
            raise ValueError("the weights are not constant")
        return sizes

    def rounded_bias(self, tape: Tape, row: Array | None) -> ir.Value | None:
        """Record a bias under the name of the layer's own."""
        name = self.bias.name if self.bias is not None else None
        return None if row is None else tape.constant(rounded(row, self.dtype), name=name)


def gemm(
    tape: Tape, x: ir.Value, weight: ir.Value, bias: ir.Value | None, transposes_x: bool, transposes_weight: bool
) -> ir.Value:
    """Record a Gemm, its attributes only where they are not the default."""
    flags = {"transA": transposes_x, "transB": transposes_weight}
    return tape.op("Gemm", [x, weight, bias], {name: 1 for name, flag in flags.items() if flag})


def dense_at(value: ir.Value | None, root: ir.Node) -> Dense | None:
    """The dense layer that produces `value` in the same graph as `root`; None where there is none."""
    node = producer_beside(value, root, "Gemm", "MatMul", "Add")
    return dense(node) if node is not None else None


def dense(node: ir.Node) -> Dense | None:
    """The dense layer that ends in `node`; its bias need not be the same for all rows (`row` says)."""
    if node.op_type == "Gemm":
        return _gemm_layer(node)
    if node.op_type == "MatMul":
        return _matmul_layer(node, None, None)
    a, b = node.inputs
    for y, bias in ((a, b), (b, a)):
        product = producer_beside(y, node, "MatMul")
        if product is not None and bias is not None and facts.is_constant(bias):
            return _matmul_layer(product, node, bias)
    return None


def bias_follows(node: ir.Node) -> bool:
    """Whether the MatMul `node` is only the first part of a layer: an Add of its bias comes next."""
    out = node.outputs[0]
    if not facts.sole_user(out):
        return False
    add = next(iter(out.uses())).node
    if add.op_type != "Add" or add.domain or add.graph is not node.graph or facts.is_kept(add):
        return False
    whole = dense(add)
    return whole is not None and whole.row is not None


def _gemm_layer(node: ir.Node) -> Dense | None:
    x, weight, bias = (facts.input_of(node, k) for k in range(3))
    alpha, beta = facts.float_attribute(node, "alpha"), facts.float_attribute(node, "beta")
    left, right = facts.int_attribute(node, "transA"), facts.int_attribute(node, "transB")
    if x is None or alpha is None or beta is None or left is None or right is None:
        return None
    sizes = _sizes(weight)
    if weight is None or sizes is None or not (bias is None or facts.is_constant(bias)):
        return None
    shape = (None, sizes[0 if right else 1])
    return Dense(node, None, x, weight, bias, alpha, beta, bool(left), bool(right), shape)


def _matmul_layer(product: ir.Node, add: ir.Node | None, bias: ir.Value | None) -> Dense | None:
    x, weight = product.inputs
    sizes = _sizes(weight)
    if x is None or weight is None or sizes is None:
        return None
    known = facts.shape(product.outputs[0])
    shape = (*(known[:-1] if known else ()), sizes[1])
    return Dense(product, add, x, weight, bias, 1.0, 1.0, False, False, shape)


def _sizes(weight: ir.Value | None) -> tuple[int, ...] | None:
    """The shape of a constant matrix of floats; integer products wrap around, which float64 does not."""
    if weight is None or not facts.is_constant(weight) or not facts.is_float(weight):
        return None
    sizes = facts.static(weight)
    return sizes if sizes is not None and len(sizes) == 2 and 0 not in sizes else None
