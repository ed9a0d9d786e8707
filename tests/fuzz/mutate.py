"""Small changes to a model, each of which may break it; who calls them looks whether it still runs."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import onnx
from onnx import helper, numpy_helper

from fuzz.grow import Values, fresh, pick

Mutation = Callable[[onnx.ModelProto, np.random.Generator, Values], bool]
_SPECIAL = (0.0, -0.0, 1.0, -1.0, 2.0, 0.5, np.inf, -np.inf, np.nan, 1e-40, 65504.0, 1e-7, 3.0)
# What takes ONNX Runtime's own process down where it is no number that fits.
_CRASHING = {"num_outputs", "group", "strides", "dilations", "kernel_shape", "blocksize"}
_SMALL = (0, 1, -1, 2, -2, 3, 4, 0x7FFFFFFFFFFFFFFF)
_FLOATS = {
    onnx.TensorProto.FLOAT: np.float32,
    onnx.TensorProto.DOUBLE: np.float64,
    onnx.TensorProto.FLOAT16: np.float16,
}


def output_in_the_middle(model: onnx.ModelProto, rng: np.random.Generator, values: Values) -> bool:
    """A value that others use becomes an output too."""
    outputs = {v.name for v in model.graph.output}
    inner = [n for node in model.graph.node for n in node.output if n and n not in outputs and n in values]
    if not inner:
        return False
    model.graph.output.append(onnx.ValueInfoProto(name=pick(rng, inner)))
    return True


def change_constant(model: onnx.ModelProto, rng: np.random.Generator, values: Values) -> bool:
    """One element becomes something special, or all of them do."""
    tensor = _initializer(model, rng)
    if tensor is None:
        return False
    array = numpy_helper.to_array(tensor).copy()
    if array.size == 0 or array.dtype.kind not in "fiub":
        return False
    which = ... if rng.random() < 0.3 else np.unravel_index(int(rng.integers(array.size)), array.shape)
    if array.dtype.kind == "f":
        array[which] = pick(rng, _SPECIAL) if rng.random() < 0.6 else array[which] * pick(rng, (-1, 2, 0.1))
    elif array.dtype.kind == "b":
        array[which] = ~array[which]
    else:
        fitting = [k for k in _SMALL if np.iinfo(array.dtype).min <= k <= np.iinfo(array.dtype).max]
        array[which] = pick(rng, fitting)
    tensor.CopyFrom(numpy_helper.from_array(array, tensor.name))
    return True


def reshape_constant(model: onnx.ModelProto, rng: np.random.Generator, values: Values) -> bool:
    """A constant gets an axis of 1 more or less, or is repeated along one."""
    tensor = _initializer(model, rng)
    if tensor is None:
        return False
    array = numpy_helper.to_array(tensor)
    choice = int(rng.integers(4))
    if choice == 0:
        array = array[np.newaxis]
    elif choice == 1 and array.ndim and array.shape[0] == 1:
        array = array[0]
    elif choice == 2 and array.ndim:
        array = np.repeat(array, 2 if array.shape[-1] == 1 else 1, axis=-1)
    elif array.ndim:
        array = array[..., :1]
    tensor.CopyFrom(numpy_helper.from_array(np.ascontiguousarray(array).reshape(array.shape), tensor.name))
    return True


def constant_elsewhere(model: onnx.ModelProto, rng: np.random.Generator, values: Values) -> bool:
    """An initializer becomes a node, an input with a default, or an input."""
    tensor = _initializer(model, rng)
    if tensor is None or any(v.name == tensor.name for v in model.graph.input):
        return False
    choice = int(rng.integers(3))
    if choice == 0:
        model.graph.node.insert(0, helper.make_node("Constant", [], [tensor.name], value=tensor))
    else:
        model.graph.input.append(helper.make_tensor_value_info(tensor.name, tensor.data_type, list(tensor.dims)))
    if choice != 1:
        model.graph.initializer.remove(tensor)
    return True


def share_constant(model: onnx.ModelProto, rng: np.random.Generator, values: Values) -> bool:
    """A node takes an initializer that another one uses."""
    tensors = [t for t in model.graph.initializer]
    node = pick(rng, model.graph.node) if model.graph.node else None
    if node is None or not node.input or not tensors:
        return False
    tensor = pick(rng, tensors)
    slots = [i for i, name in enumerate(node.input) if name in values and _same_type(values, name, tensor.name)]
    if not slots:
        return False
    node.input[pick(rng, slots)] = tensor.name
    return True


def swap_operands(model: onnx.ModelProto, rng: np.random.Generator, values: Values) -> bool:
    """Two inputs of a node change places, whether or not it commutes."""
    several = [node for node in model.graph.node if len(node.input) >= 2]
    if not several:
        return False
    node = pick(rng, several)
    i, j = (int(k) for k in rng.choice(len(node.input), 2, replace=False))
    node.input[i], node.input[j] = node.input[j], node.input[i]
    return True


def rewire(model: onnx.ModelProto, rng: np.random.Generator, values: Values) -> bool:
    """A node takes another value of the same type, defined before it."""
    index = int(rng.integers(len(model.graph.node)))
    node = model.graph.node[index]
    slots = [i for i, name in enumerate(node.input) if name]
    if not slots:
        return False
    slot = pick(rng, slots)
    later = {name for other in model.graph.node[index:] for name in other.output}
    fitting = [
        n for n in values if n not in later and n != node.input[slot] and _same_type(values, n, node.input[slot])
    ]
    if not fitting:
        return False
    node.input[slot] = pick(rng, fitting)
    return True


def change_attribute(model: onnx.ModelProto, rng: np.random.Generator, values: Values) -> bool:
    """A number among a node's attributes becomes another, or the attribute is left to its default."""
    having = [(node, a) for node in model.graph.node for a in node.attribute if a.type in _NUMBERS]
    if not having:
        return False
    node, attribute = pick(rng, having)
    if attribute.name in _CRASHING:
        return False
    if rng.random() < 0.25:
        node.attribute.remove(attribute)
    elif attribute.type == onnx.AttributeProto.INT:
        attribute.i = int(pick(rng, (0, 1, -1, 2, attribute.i + 1, -attribute.i)))
    elif attribute.type == onnx.AttributeProto.FLOAT:
        attribute.f = float(pick(rng, (0.0, 1.0, -1.0, attribute.f * 2, 1e-5, 0.5)))
    elif len(attribute.ints):
        ints = list(attribute.ints)
        ints[int(rng.integers(len(ints)))] = int(pick(rng, (0, 1, -1, 2)))
        attribute.ints[:] = ints if rng.random() < 0.7 else ints[::-1]
    return True


def change_types(model: onnx.ModelProto, rng: np.random.Generator, values: Values) -> bool:
    """All of one float type become another."""
    kinds = list(_FLOATS)
    old, new = (kinds[int(k)] for k in rng.choice(len(kinds), 2, replace=False))
    retype(model, {old: new})
    return True


def retype(model: onnx.ModelProto, types: dict[int, int]) -> None:
    """Element types of the main graph and what it holds, constants converted with them."""
    graphs = [model.graph]
    nodes = [n for f in model.functions for n in f.node]
    while graphs:
        graph = graphs.pop()
        for value in (*graph.input, *graph.output, *graph.value_info):
            tensor = value.type.tensor_type
            tensor.elem_type = types.get(tensor.elem_type, tensor.elem_type)
        for tensor in graph.initializer:
            _convert(tensor, types)
        nodes += graph.node
        graphs += [a.g for n in graph.node for a in n.attribute if a.HasField("g")]
    for node in nodes:
        for attribute in node.attribute:
            if attribute.HasField("t"):
                _convert(attribute.t, types)
            if attribute.name in ("to", "dtype", "stash_type") and attribute.type == onnx.AttributeProto.INT:
                attribute.i = types.get(attribute.i, attribute.i)


def make_symbolic(model: onnx.ModelProto, rng: np.random.Generator, values: Values) -> bool:
    """A size that an input declares becomes a symbol, or another one."""
    dims = [d for v in model.graph.input for d in v.type.tensor_type.shape.dim]
    if not dims:
        return False
    dim = pick(rng, dims)
    sizes = {d.dim_value for d in dims if d.HasField("dim_value")}
    if dim.HasField("dim_value"):
        dim.dim_param = f"S{dim.dim_value}"
    elif rng.random() < 0.5 or not sizes:
        dim.dim_param = pick(rng, ("A", "B"))
    else:
        dim.dim_value = pick(rng, sorted(sizes))
    return True


def forget_output_types(model: onnx.ModelProto, rng: np.random.Generator, values: Values) -> bool:
    """What the outputs are declared as is left open."""
    for value in model.graph.output:
        value.ClearField("type")
    return True


def change_opset(model: onnx.ModelProto, rng: np.random.Generator, values: Values) -> bool:
    """The same nodes under another version of the operator set."""
    for imported in model.opset_import:
        if imported.domain in ("", "ai.onnx"):
            imported.version = int(rng.integers(7, 24))
    return True


def repeat_node(model: onnx.ModelProto, rng: np.random.Generator, values: Values) -> bool:
    """A second node computes the same, for some of those that use the first."""
    index = int(rng.integers(len(model.graph.node)))
    node = onnx.NodeProto()
    node.CopyFrom(model.graph.node[index])
    stem = fresh(model, "r")
    renamed = {name: stem + name for name in node.output if name}
    node.name = ""
    node.output[:] = [renamed.get(name, "") for name in node.output]
    model.graph.node.insert(index + 1, node)
    changed = False
    for user in model.graph.node[index + 2 :]:
        for slot, name in enumerate(user.input):
            if name in renamed and rng.random() < 0.5:
                user.input[slot] = renamed[name]
                changed = True
    return changed


MUTATIONS: tuple[Mutation, ...] = (
    output_in_the_middle, change_constant, change_constant, reshape_constant, constant_elsewhere, share_constant,
    swap_operands, rewire, rewire, change_attribute, change_attribute, change_types, make_symbolic,
    forget_output_types, change_opset, repeat_node,
)  # fmt: skip
_NUMBERS = {onnx.AttributeProto.INT, onnx.AttributeProto.FLOAT, onnx.AttributeProto.INTS}


def _initializer(model: onnx.ModelProto, rng: np.random.Generator) -> onnx.TensorProto | None:
    return pick(rng, model.graph.initializer) if model.graph.initializer else None


def _same_type(values: Values, a: str, b: str) -> bool:
    x, y = values.get(a), values.get(b)
    return isinstance(x, np.ndarray) and isinstance(y, np.ndarray) and x.dtype == y.dtype


def _convert(tensor: onnx.TensorProto, types: dict[int, int]) -> None:
    if tensor.data_type in types:
        with np.errstate(all="ignore"):
            array = numpy_helper.to_array(tensor).astype(_FLOATS[types[tensor.data_type]])
        tensor.CopyFrom(numpy_helper.from_array(array, tensor.name))
