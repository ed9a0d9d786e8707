"""Values that are the same on every run: initializers nobody can override, and `Constant` nodes."""

from __future__ import annotations

import functools
import math
from typing import Any, cast

import numpy as np
import onnx_ir as ir

from ncgopt.facts import uses
from ncgopt.facts.training import is_updated
from ncgopt.model.ondisk import FileTensor
from ncgopt.runtime.memory import default_limit

Array = np.ndarray[Any, Any]


def constant(value: ir.Value | None) -> Array | None:
    """The contents of `value` where they are fixed; None where unknown.

    An initializer that is also a graph input is only a default: the caller may override it, so it
    is no constant. Protected (`--keep`) initializers and nodes are none either, nor what else a layer in training
    writes its new statistics into, as ONNX Runtime does.
    """
    tensor = _tensor(value)
    return None if tensor is None else cast(Array, tensor.numpy())


def look(value: ir.Value | None) -> Array | None:
    """As `constant`, for what numpy alone does with it: large weights are read where they lie, aligned or not."""
    tensor = _tensor(value)
    return tensor.view() if isinstance(tensor, FileTensor) else constant(value)


def is_constant(value: ir.Value | None) -> bool:
    """Whether `constant` would answer, without reading any data."""
    return _tensor(value) is not None


def scalar(value: ir.Value | None) -> float | int | bool | None:
    """The single element of a constant of any rank; None for anything else, strings included."""
    tensor = _tensor(value)
    if tensor is None or tensor.size != 1 or tensor.dtype == ir.DataType.STRING:
        return None
    return cast("float | int | bool", np.asarray(tensor.numpy()).reshape(()).item())


def _tensor(value: ir.Value | None) -> ir.TensorProtocol | None:
    if value is None or uses.is_kept(value) or value.is_graph_input() or is_updated(value):
        return None
    if value.is_initializer():
        return _readable(value.const_value)
    node = value.producer()
    if node is None or node.op_type != "Constant" or node.domain or uses.is_kept(node):
        return None
    return constant_tensor(node)


def _readable(tensor: ir.TensorProtocol | None) -> ir.TensorProtocol | None:
    """The tensor, unless it lies elsewhere, or is made on reading, and is too large for this machine."""
    if tensor is not None and _lies_elsewhere(type(tensor)) and tensor.size * tensor.dtype.itemsize > _most_bytes():
        return None
    return tensor


@functools.cache
def _lies_elsewhere(kind: type) -> bool:
    """Asked for every constant that a rule looks at; `isinstance` takes its time with these classes."""
    return issubclass(kind, (ir.LazyTensor, ir.ExternalTensor))


@functools.cache
def _most_bytes() -> float:
    """A quarter of what a process may hold: more than one constant is looked at."""
    limit = default_limit()
    return math.inf if limit is None else limit / 4


def constant_tensor(node: ir.Node) -> ir.TensorProtocol | None:
    """The tensor that a `Constant` node holds, whichever of its attributes holds it.

    A sparse value arrives as a tensor that makes itself dense when read (`ncgopt.model.carry`).
    """
    if len(node.attributes.data) != 1:
        return None
    name, attribute = next(iter(node.attributes.data.items()))
    if attribute.is_ref():
        return None
    match name:
        case "value":
            # Not `as_tensor`, which checks each time that the tensor has everything its protocol asks for.
            return cast(ir.TensorProtocol, attribute.value)
        case "value_float" | "value_floats":
            return ir.Tensor(np.array(attribute.value, dtype=np.float32))
        case "value_int" | "value_ints":
            return ir.Tensor(np.array(attribute.value, dtype=np.int64))
        case "value_string" | "value_strings":
            strings = [attribute.value] if name == "value_string" else list(attribute.value)
            shape = ir.Shape(()) if name == "value_string" else ir.Shape((len(strings),))
            return ir.StringTensor([s if isinstance(s, bytes) else s.encode() for s in strings], shape=shape)
        case _:
            return None
