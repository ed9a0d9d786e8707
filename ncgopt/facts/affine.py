"""Constants that act on each channel alone: factors, addends, and BatchNormalization as inference computes it."""

from __future__ import annotations

import functools

import numpy as np
import onnx_ir as ir

from ncgopt.facts import attributes, constants, shapes, uses
from ncgopt.facts.constants import Array
from ncgopt.records import record


def producer_beside(value: ir.Value | None, root: ir.Node, *op_types: str) -> ir.Node | None:
    """The producer of `value`, as `facts.producer` finds it, if it stands in the same graph as `root`.

    Computed anew inside a loop's body, what stood outside would be computed in every round.
    """
    node = uses.producer(value, *op_types)
    return node if node is not None and node.graph is root.graph else None


def per_channel(value: ir.Value | None, shape: shapes.Shape, axis: int) -> Array | None:
    """What the constant `value` contributes to each channel when broadcast against a tensor of `shape`.

    Args:
        value: any value; only constants have an answer.
        shape: dimensions of the other operand, the channel's a number. If not even its rank is
            known, a shorter shape will do: what is broadcast against that fits a longer one too.
        axis: dimension of the channels; negative counts from the end.

    Returns:
        float64 `[channels]`; None where the constant varies along another dimension, enlarges the
        other operand, or is empty.
    """
    array = constants.constant(value)
    channels = shape[axis]
    if array is None or array.ndim > len(shape) or array.size == 0 or not isinstance(channels, int):
        return None
    array = array.reshape((1,) * (len(shape) - array.ndim) + array.shape)
    for k, dim in enumerate(shape):
        if k == axis % len(shape) or array.shape[k] == 1:
            continue
        first = array.take([0], axis=k)
        if array.shape[k] != dim or not bool((array == first).all()):
            return None
        array = first
    if array.size not in (1, channels):
        return None
    return np.broadcast_to(array.reshape(-1).astype(np.float64), (channels,))


def vector(value: ir.Value | None, size: int) -> Array | None:
    """A constant of shape `[size]` in float64; None for anything else.

    An Expand of one constant number counts as well: folding leaves it where it would make the file
    larger, and exporters write the zero bias of a convolution that way.
    """
    if value is None or shapes.static(value) != (size,):
        return None
    array = constants.constant(value)
    if array is not None:
        return array.astype(np.float64)
    expand = uses.producer(value, "Expand")
    number = constants.scalar(uses.input_of(expand, 0)) if expand is not None else None
    return np.full(size, float(number)) if number is not None else None


@record
class BatchNorm:
    """A BatchNormalization whose parameters are constants: `out = x * factor + addend` per channel (axis 1).

    Attributes:
        inference: whether it uses the stored mean and variance, not those of the batch.
        parameters: scale, bias, mean and variance in float64.
    """

    node: ir.Node
    x: ir.Value
    inference: bool
    epsilon: float
    parameters: tuple[Array, Array, Array, Array]

    def serves(self, channels: int) -> bool:
        """Whether there is one parameter per channel; with `spatial=0` (opset < 9) there is one per element."""
        return all(p.shape == (channels,) for p in self.parameters)

    @functools.cached_property
    def factor(self) -> Array:
        """float64 `[channels]`; not finite where variance + epsilon is not positive."""
        scale, _, _, variance = self.parameters
        with np.errstate(all="ignore"):
            return scale / np.sqrt(variance + self.epsilon)

    @functools.cached_property
    def addend(self) -> Array:
        """float64 `[channels]`."""
        _, bias, mean, _ = self.parameters
        with np.errstate(all="ignore"):
            return bias - mean * self.factor


def batch_norm(node: ir.Node) -> BatchNorm | None:
    """`node` as a BatchNorm; None for other operators, other domains and parameters that may change."""
    if node.op_type != "BatchNormalization" or node.domain or len(node.inputs) != 5:
        return None
    x, epsilon = node.inputs[0], attributes.float_attribute(node, "epsilon")
    arrays = [constants.constant(value) for value in node.inputs[1:]]
    parameters = [a.astype(np.float64) for a in arrays if a is not None]
    if x is None or epsilon is None or len(parameters) != 4:
        return None
    scale, bias, mean, variance = parameters
    return BatchNorm(node, x, _is_inference(node), epsilon, (scale, bias, mean, variance))


@record
class Affine:
    """`node` computes `x * factor + addend` per channel (axis 1); both float64 `[channels]`."""

    node: ir.Node
    x: ir.Value
    factor: Array
    addend: Array


def affine_at(value: ir.Value | None, root: ir.Node, channels: int, rank: int) -> Affine | None:
    """How `value` is made of another tensor of its own shape, channel by channel, in the graph of `root`.

    Args:
        value: a tensor of `rank` dimensions and `channels` channels.
        root: the node that is being looked at.
        channels: its channels, axis 1.
        rank: its number of dimensions.

    Returns:
        None where no BatchNormalization at inference and no arithmetic with constants makes it.
    """
    node = producer_beside(value, root, "Mul", "Div", "Add", "Sub", "BatchNormalization")
    return None if node is None else affine(node, channels, rank)


def affine(node: ir.Node, channels: int, rank: int) -> Affine | None:
    """`node` itself read as `affine_at` reads the producer of a value."""
    if node.op_type == "BatchNormalization":
        norm = batch_norm(node)
        if norm is None or not norm.inference or not norm.serves(channels):
            return None
        return Affine(node, norm.x, norm.factor, norm.addend)
    if node.op_type not in ("Mul", "Div", "Add", "Sub") or node.domain or (node.version or 1) < 7:
        return None
    a, b = node.inputs
    for x, constant, swapped in ((a, b, False), (b, a, True)):
        if x is None or constants.is_constant(x) or not shapes.is_float(x) or not _keeps(x, constant, channels, rank):
            continue
        found = per_channel(constant, (None, channels, *[None] * (rank - 2)), 1)
        step = _step(node.op_type, found, swapped) if found is not None else None
        if step is not None:
            return Affine(node, x, *step)
    return None


def _keeps(x: ir.Value, constant: ir.Value | None, channels: int, rank: int) -> bool:
    """Whether the constant does not enlarge x, given that the result has `channels` and `rank`."""
    sizes = shapes.static(constant) if constant is not None else None
    if sizes is None:
        return False
    if len(sizes) <= 1 and all(size == 1 for size in sizes):
        return True
    known = shapes.shape(x)
    return known is not None and len(known) == rank and known[1] == channels


def _step(op_type: str, constant: Array, swapped: bool) -> tuple[Array, Array] | None:
    one, zero = np.ones_like(constant), np.zeros_like(constant)
    match op_type, swapped:
        case "Mul", _:
            return constant, zero
        case "Add", _:
            return one, constant
        case "Sub", False:
            return one, -constant
        case "Sub", True:
            return -one, constant
        case "Div", False:
            with np.errstate(all="ignore"):
                return 1 / constant, zero
        case _:
            return None


def _is_inference(node: ir.Node) -> bool:
    """Before opset 14 the number of outputs decides, since then `training_mode`."""
    if any(output.name or output.uses() for output in node.outputs[1:]):
        return False
    return (node.version or 1) < 14 or attributes.int_attribute(node, "training_mode") == 0
