"""Operators that work element by element, or on a row of elements: each element of the result is one term."""

from __future__ import annotations

import math
from collections.abc import Iterable

import ml_dtypes
import numpy as np
from onnx import TensorProto

from proofs.execute import CannotExecute, Executor, NoMeaning, Value, handles
from proofs.terms import Tensor, Term, numpy_type

_PREDICATES = ("And", "Equal", "Greater", "GreaterOrEqual", "IsInf", "IsNaN", "Less", "LessOrEqual", "Not", "Or", "Xor")
_ELEMENTWISE = (
    "Abs", "Add", "BitShift", "Ceil", "Celu", "Cos", "Div", "Elu", "Erf", "Exp", "Floor", "Gelu", "HardSigmoid",
    "HardSwish", "LeakyRelu", "Log", "Max", "Mean", "Min", "Mish", "Mod", "Mul", "Neg", "PRelu", "Pow", "Reciprocal",
    "Relu", "Round", "Selu", "Sigmoid", "Sign", "Sin", "Softplus", "Softsign", "Sqrt", "Sub", "Sum", "Swish", "Tan",
    "Tanh", "ThresholdedRelu",
)  # fmt: skip
_NOT_OF_THE_VALUE = ("axis", "broadcast", "consumed_inputs", "round_mode")


def elementwise(ex: Executor, op: str, elem: int, inputs: Iterable[Tensor], attributes: dict) -> Tensor:
    """`op` on every element, inputs broadcast against each other."""
    named = tuple(sorted((k, v) for k, v in attributes.items() if k not in _NOT_OF_THE_VALUE))
    arrays = [value.terms(ex.arena) for value in inputs]
    try:
        arrays = np.broadcast_arrays(*arrays)
    except ValueError as error:
        raise CannotExecute(f"{op}: {error}") from error
    made = np.empty(arrays[0].shape, object)
    for index in np.ndindex(*made.shape):
        made[index] = ex.arena.make(op, elem, tuple(a[index] for a in arrays), named)
    return Tensor(elem, made)


@handles(*_ELEMENTWISE)
def _elementwise(ex: Executor, node, attributes: dict, inputs: list) -> Value:
    if attributes.get("broadcast"):
        raise NoMeaning("broadcasting of before opset 7")
    if len(inputs) == 1 and node.op_type in ("Max", "Min", "Sum", "Mean"):
        return inputs[0]
    return elementwise(ex, node.op_type, inputs[0].elem, inputs, attributes)


@handles(*_PREDICATES)
def _predicate(ex: Executor, node, attributes: dict, inputs: list) -> Value:
    return elementwise(ex, node.op_type, TensorProto.BOOL, inputs, attributes)


@handles("Identity")
def _identity(ex: Executor, node, attributes: dict, inputs: list) -> Value:
    return inputs[0]


@handles("Where")
def _where(ex: Executor, node, attributes: dict, inputs: list) -> Value:
    return elementwise(ex, "Where", inputs[1].elem, inputs, {})


@handles("Clip")
def _clip(ex: Executor, node, attributes: dict, inputs: list) -> Value:
    x = inputs[0]
    bounds = dict(zip(("min", "max"), inputs[1:], strict=False))
    for name in ("min", "max"):  # attributes before opset 11
        if name in attributes and name not in bounds:
            bounds[name] = ex.constant(attributes[name], x.elem)
    bounds = {name: value for name, value in bounds.items() if value is not None}
    if numpy_type(x.elem).kind not in "iu":  # an end that is left out is the last number: infinity is clipped
        for name in ("min", "max"):
            bounds.setdefault(name, ex.constant(getattr(ml_dtypes.finfo(numpy_type(x.elem)), name), x.elem))
    if not bounds:
        return x
    bounds = {name: bounds[name] for name in ("min", "max") if name in bounds}
    if any(value.data.size != 1 for value in bounds.values()):
        raise CannotExecute("Clip takes scalars")
    bounds = {name: Tensor(value.elem, value.data.reshape(())) for name, value in bounds.items()}
    return elementwise(ex, "Clip", x.elem, [x, *bounds.values()], {"bounds": tuple(bounds)})


@handles("Cast")
def _cast(ex: Executor, node, attributes: dict, inputs: list) -> Value:
    to = attributes["to"]
    if to == inputs[0].elem:
        return inputs[0]
    named = {
        k: attributes[k] for k, usual in (("saturate", 1), ("round_mode", "up")) if attributes.get(k, usual) != usual
    }
    return elementwise(ex, "Cast", to, inputs, {k.replace("round_mode", "rounding"): v for k, v in named.items()})


@handles("CastLike")
def _cast_like(ex: Executor, node, attributes: dict, inputs: list) -> Value:
    named = {k: attributes[k] for k in ("saturate", "round_mode") if k in attributes}
    return ex.call("Cast", inputs[0], to=inputs[1].elem, **named)


@handles("SequenceAt")
def _sequence_at(ex: Executor, node, attributes: dict, inputs: list) -> Value:
    return inputs[0][int(ex.numbers(inputs[1]).reshape(()))]


@handles("Dropout")
def _dropout(ex: Executor, node, attributes: dict, inputs: list) -> Value:
    training = inputs[2] if len(inputs) > 2 else None
    ratio = inputs[1] if len(inputs) > 1 else None
    if training is not None and ex.numbers(training).any() and (ratio is None or ex.numbers(ratio).any()):
        raise NoMeaning("Dropout in training")
    if len(node.output) < 2:
        return inputs[0]
    elem = TensorProto.BOOL if ex.opsets[""] >= 10 else inputs[0].elem
    return inputs[0], Tensor(elem, np.ones(inputs[0].data.shape, numpy_type(elem)))


def over_axes(ex: Executor, op: str, x: Tensor, axes: Iterable[int], keepdims: bool, elem: int, named: tuple = ()):
    """`op` on all elements along `axes`, in order; of one element alone it is that element."""
    rank = x.data.ndim
    axes = sorted({axis % rank for axis in axes})
    kept = [axis for axis in range(rank) if axis not in axes]
    rows = np.transpose(x.terms(ex.arena), [*kept, *axes]).reshape(*(x.data.shape[k] for k in kept), -1)
    shape = [x.data.shape[k] if k in kept else 1 for k in range(rank) if keepdims or k in kept]
    made = np.empty(rows.shape[:-1], object)
    for index in np.ndindex(*made.shape):
        made[index] = _of_row(ex, op, tuple(rows[index]), elem, named)
    return Tensor(elem, made.reshape(shape))


def _of_row(ex: Executor, op: str, row: tuple[Term, ...], elem: int, named: tuple) -> Term:
    whole = numpy_type(elem).kind in "iub"
    if len(row) == 1 and op in (
        "ReduceMax",
        "ReduceMin",
        "ReduceProd",
        *(("ReduceSum", "ReduceMean") if whole else ()),
    ):
        return row[0]
    return ex.arena.make(op, elem, row, named)


@handles(
    "ReduceL1", "ReduceL2", "ReduceLogSumExp", "ReduceMax", "ReduceMean", "ReduceMin", "ReduceProd", "ReduceSum",
    "ReduceSumSquare",
)  # fmt: skip
def _reduce(ex: Executor, node, attributes: dict, inputs: list) -> Value:
    x = inputs[0]
    axes = attributes.get("axes")
    if axes is None and len(inputs) > 1 and inputs[1] is not None:
        axes = ex.numbers(inputs[1]).tolist()
    if not axes and attributes.get("noop_with_empty_axes"):
        return x
    axes = axes if axes else range(x.data.ndim)
    return over_axes(ex, node.op_type, x, axes, bool(attributes["keepdims"]), x.elem)


@handles("ArgMax", "ArgMin")
def _arg(ex: Executor, node, attributes: dict, inputs: list) -> Value:
    named = (("select_last_index", attributes.get("select_last_index", 0)),)
    keep = bool(attributes["keepdims"])
    return over_axes(ex, node.op_type, inputs[0], [attributes["axis"]], keep, TensorProto.INT64, named)


@handles("GlobalAveragePool", "GlobalMaxPool")
def _global_pool(ex: Executor, node, attributes: dict, inputs: list) -> Value:
    return over_axes(ex, node.op_type, inputs[0], range(2, inputs[0].data.ndim), True, inputs[0].elem)


@handles("Softmax", "LogSoftmax")
def _softmax(ex: Executor, node, attributes: dict, inputs: list) -> Value:
    """Along the axis; before opset 13, over everything from the axis on."""
    x = inputs[0]
    axis = attributes["axis"] % max(x.data.ndim, 1)
    axes = [axis] if ex.opsets[""] >= 13 else list(range(axis, x.data.ndim))
    kept = [k for k in range(x.data.ndim) if k not in axes]
    rows = np.transpose(x.terms(ex.arena), [*kept, *axes])
    flat = rows.reshape(math.prod(rows.shape[: len(kept)]), -1)
    made = np.empty(flat.shape, object)
    for i, k in np.ndindex(*flat.shape):
        made[i, k] = ex.arena.make(node.op_type, x.elem, tuple(flat[i]), (("position", k),))
    return Tensor(x.elem, np.transpose(made.reshape(rows.shape), np.argsort([*kept, *axes])))


@handles("QuantizeLinear", "DequantizeLinear")
def _quantization(ex: Executor, node, attributes: dict, inputs: list) -> Value:
    """With the scale and zero point of its channel for each element."""
    x, scale, zero = [*inputs, None][:3]
    if attributes.get("block_size"):
        raise NoMeaning("quantization in blocks")
    down = node.op_type == "QuantizeLinear"
    if zero is None:
        elem = (attributes.get("output_dtype") or TensorProto.UINT8) if down else x.elem
        zero = ex.constant(np.zeros(scale.data.shape), elem)
    if scale.data.ndim == 1 and scale.data.size > 1 and x.data.ndim > 1:
        shape = [-1 if k == attributes.get("axis", 1) % x.data.ndim else 1 for k in range(x.data.ndim)]
        scale, zero = (Tensor(p.elem, p.data.reshape(shape)) for p in (scale, zero))
    elif scale.data.size == 1:
        scale, zero = (Tensor(p.elem, p.data.reshape(())) for p in (scale, zero))
    elem = zero.elem if down else attributes.get("output_dtype") or scale.elem
    named = {"saturate": attributes.get("saturate", 1)} if down else {}
    return elementwise(ex, node.op_type, elem, [x, scale, zero], named)
