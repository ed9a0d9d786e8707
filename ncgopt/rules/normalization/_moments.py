"""What decomposed normalizations are made of: means over the last axes, squares, reciprocal roots."""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import cast

import onnx_ir as ir

from ncgopt import facts
from ncgopt.facts.affine import producer_beside
from ncgopt.facts.operands import ints_operand, normalized_axes
from ncgopt.records import record
from ncgopt.rules.normalization import _statistics
from ncgopt.rules.normalization._statistics import Match


@record
class Quotient:
    """`numerator / sqrt(mean_square + epsilon)`, where `mean_square` is the mean of `squared * squared`.

    Attributes:
        numerator: what is divided by the root.
        squared: what is squared.
        axes: how many of the last axes the mean is taken over.
        epsilon: what is added to the mean.
        nodes: all operators of the quotient, the root included.
    """

    numerator: ir.Value
    squared: ir.Value
    axes: int
    epsilon: float
    nodes: tuple[ir.Node, ...]


def centered(node: ir.Node) -> Match | None:
    """What `node` divides, after taking off its mean, by its standard deviation: a LayerNormalization."""
    for quotient in quotients(node):
        difference = producer_beside(quotient.numerator, node, "Sub")
        again = producer_beside(quotient.squared, node, "Sub")
        if difference is None or again is None or not same_difference(quotient.numerator, quotient.squared):
            continue
        x, mean = difference.inputs
        found = mean_of(mean, node)
        if x is None or found is None or found[0] is not x or found[1] != quotient.axes:
            continue
        if _statistics.is_served(x):
            return Match(x, quotient.axes, quotient.epsilon, (*quotient.nodes, difference, again, found[2]), node)
    return None


def not_centered(node: ir.Node) -> Match | None:
    """What `node` divides by its own root mean square: an RMSNormalization."""
    for quotient in quotients(node):
        if quotient.squared is quotient.numerator and _statistics.is_served(quotient.numerator):
            return Match(quotient.numerator, quotient.axes, quotient.epsilon, quotient.nodes, node)
    return None


def quotients(node: ir.Node) -> Iterator[Quotient]:
    """Each way to read `node` as a value divided by a root mean square.

    The division is a Div, or a Mul by a Reciprocal, by 1 / root, or by a power of -0.5.
    """
    for numerator, square, above in _over_root(node):
        added = producer_beside(square, node, "Add")
        for mean, constant in _both(added):
            epsilon = _number(constant)
            found = mean_of(mean, node)
            if added is None or epsilon is None or found is None or not 0 <= epsilon < math.inf:
                continue
            squared, axes, reduce = found
            for base, power in _squares(squared, node):
                yield Quotient(numerator, base, axes, epsilon, (node, *above, added, reduce, power))


def mean_of(value: ir.Value | None, root: ir.Node) -> tuple[ir.Value, int, ir.Node] | None:
    """What `value` is the mean of, over how many of its last axes, and by which node; axes are kept as ones."""
    node = producer_beside(value, root, "ReduceMean")
    x = facts.input_of(node, 0) if node is not None else None
    if node is None or x is None or facts.int_attribute(node, "keepdims") != 1:
        return None
    axes, rank = ints_operand(node, "axes", 1), facts.rank(x)
    if not axes or (rank is None and axes != (-1,)):
        return None
    counted = normalized_axes(axes, rank) if rank is not None else (0,)
    first = 1 if rank is None else rank
    if counted is None or sorted(counted) != list(range(first - len(counted), first)):
        return None
    return x, len(counted), node


def same_difference(a: ir.Value, b: ir.Value) -> bool:
    """Whether both are the same value, or the difference of the same two values."""
    if a is b:
        return True
    left, right = facts.producer(a, "Sub"), facts.producer(b, "Sub")
    return left is not None and right is not None and tuple(left.inputs) == tuple(right.inputs)


def _over_root(node: ir.Node) -> Iterator[tuple[ir.Value, ir.Value, tuple[ir.Node, ...]]]:
    """What is divided, what the root is taken of, and the nodes between that and `node`."""
    a, b = node.inputs
    if node.op_type == "Div":
        for square, root in _roots(b, node, 0.5):
            if a is not None:
                yield a, square, (root,)
        return
    for numerator, factor in ((a, b), (b, a)):
        if numerator is None:
            continue
        for square, root in _roots(factor, node, -0.5):
            yield numerator, square, (root,)
        inverse = producer_beside(factor, node, "Reciprocal", "Div")
        if inverse is None or (inverse.op_type == "Div" and _number(inverse.inputs[0]) != 1):
            continue
        for square, root in _roots(inverse.inputs[-1], node, 0.5):
            yield numerator, square, (inverse, root)


def _roots(value: ir.Value | None, root: ir.Node, power: float) -> Iterator[tuple[ir.Value, ir.Node]]:
    """`value` as the power `power` of something; a square root is 0.5."""
    node = producer_beside(value, root, "Sqrt", "Pow")
    base = facts.input_of(node, 0) if node is not None else None
    if node is None or base is None:
        return
    exponent = 0.5 if node.op_type == "Sqrt" else _number(facts.input_of(node, 1))
    if exponent == power:
        yield base, node


def _squares(value: ir.Value, root: ir.Node) -> Iterator[tuple[ir.Value, ir.Node]]:
    node = producer_beside(value, root, "Pow", "Mul")
    if node is None:
        return
    base, second = node.inputs
    if base is None:
        return
    if _number(second) == 2 if node.op_type == "Pow" else second is not None and same_difference(base, second):
        yield base, node


def _both(node: ir.Node | None) -> tuple[tuple[ir.Value | None, ir.Value | None], ...]:
    if node is None:
        return ()
    a, b = node.inputs
    return ((a, b), (b, a))


def _number(value: ir.Value | None) -> float | None:
    """A constant of one element that enlarges nothing of rank one or more."""
    if value is None or (facts.rank(value) or 0) > 1:
        return None
    return cast("float | None", facts.scalar(value))
