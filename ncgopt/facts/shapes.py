"""Element types and shapes, as far as they follow from the model's inputs and constants.

Types are derived node by node with ONNX's own inference functions (the operator schemas'), from
the declared inputs of the main graph and the constants, never from `value_info`: ONNX Runtime does
not enforce a declared inner shape. A declared inner *element type* it does enforce when it loads a
model, so that one serves where nothing better is known.

A rewrite never changes what a value holds, so a complete fact stays true for good; an incomplete
one is worth another look after something changed (`forget`).
"""

from __future__ import annotations

import itertools
from typing import cast

import onnx
import onnx_ir as ir

from ncgopt.facts import attributes, constants, contrib, contrib_attention, contrib_matmul, contrib_quantized
from ncgopt.facts.marks import mark_of
from ncgopt.facts.types import UNKNOWN, Dim, Shape, ValueType, from_proto, to_proto

_CACHE = "ncgopt.type"
_ENFORCED = "ncgopt.enforced"
_FLOATS = frozenset({ir.DataType.FLOAT, ir.DataType.DOUBLE, ir.DataType.FLOAT16, ir.DataType.BFLOAT16})
_MAX_DATA = 4096  # elements of a constant handed to inference: shapes and axes, not weights
_epochs = itertools.count()
_epoch = next(_epochs)


def forget() -> None:
    """Make incomplete facts be looked at again: call it after the graph changed."""
    global _epoch
    _epoch = next(_epochs)


def forget_from(value: ir.Value) -> None:
    """Make incomplete facts that may follow from `value` be looked at again, after it took a place.

    Facts that are complete stay, and what follows from them cannot have changed.
    """
    pending = [value]
    while pending:
        for use in pending.pop().uses():
            for output in use.node.outputs:
                entry = cast("tuple[int, ValueType] | None", mark_of(output, _CACHE))
                if entry is not None and not entry[1].complete and entry[0] == _epoch:
                    output.meta[_CACHE] = (-1, entry[1])
                    pending.append(output)


def trust_inputs(graph: ir.Graph) -> None:
    """State that the runtime enforces the declared inputs of `graph`: true for a main graph only."""
    graph.meta[_ENFORCED] = True


def inputs_are_enforced(graph: ir.Graph) -> bool:
    """Whether `graph` is a main graph, whose declared inputs the runtime checks."""
    return bool(mark_of(graph, _ENFORCED))


def dtype(value: ir.Value) -> ir.DataType | None:
    """Element type of a tensor; None for unknown and for anything that is no tensor."""
    return _type(value).dtype


def shape(value: ir.Value) -> Shape | None:
    """The dimensions, each a size, a symbol or None; None where not even the rank is known."""
    return _type(value).shape


def rank(value: ir.Value) -> int | None:
    """Number of dimensions."""
    dims = shape(value)
    return None if dims is None else len(dims)


def static(value: ir.Value) -> tuple[int, ...] | None:
    """The shape where every dimension is a known number."""
    dims = shape(value)
    if dims is None:
        return None
    sizes = tuple(d for d in dims if isinstance(d, int))
    return sizes if len(sizes) == len(dims) else None


def is_float(value: ir.Value) -> bool:
    """Whether the elements are known to be floating point (8-bit kinds and complex left out)."""
    return dtype(value) in _FLOATS


def is_integer(value: ir.Value) -> bool:
    """Whether the elements are known to be integers (bool is none)."""
    kind = dtype(value)
    return kind is not None and kind != ir.DataType.BOOL and kind.is_integer()


def known_size(value: ir.Value) -> int | None:
    """Number of elements where the shape is static."""
    dims = static(value)
    if dims is None:
        return None
    size = 1
    for d in dims:
        size *= d
    return size


def same_shape(a: ir.Value, b: ir.Value) -> bool:
    """Whether both shapes are fully known (symbols included) and equal."""
    left, right = shape(a), shape(b)
    return left is not None and None not in left and left == right


def same_dtype(a: ir.Value, b: ir.Value) -> bool:
    """Whether both element types are known and equal."""
    return dtype(a) is not None and dtype(a) == dtype(b)


def is_broadcast_of(small: Shape | None, large: Shape | None) -> bool:
    """Whether broadcasting `small` against `large` certainly yields just `large`."""
    if small is None or large is None or len(small) > len(large):
        return False
    return all(s == 1 or (s is not None and s == d) for s, d in zip(reversed(small), reversed(large), strict=False))


def _type(value: ir.Value) -> ValueType:
    known = _cached(value)
    if known is not None:
        return known
    # Depth first without recursion: chains of thousands of nodes are common.
    stack = [value]
    while stack:
        node = stack[-1].producer()
        missing = [v for v in (node.inputs if node else ()) if v is not None and _cached(v) is None]
        if missing and len(stack) < 100_000:
            stack.extend(missing)
            continue
        current = stack.pop()
        if _cached(current) is None:
            _infer(current)
    found = _cached(value)
    return UNKNOWN if found is None else found


def _cached(value: ir.Value) -> ValueType | None:
    entry = cast("tuple[int, ValueType] | None", mark_of(value, _CACHE))
    if entry is None:
        return None
    epoch, known = entry
    return known if known.complete or epoch == _epoch else None


def _store(value: ir.Value, known: ValueType) -> None:
    value.meta[_CACHE] = (_epoch, known)


def _infer(value: ir.Value) -> None:
    node = value.producer()
    if node is None:
        _store(value, _source(value))
        return
    for output, known in zip(node.outputs, _outputs(node), strict=True):
        if known.dtype is None and isinstance(output.type, ir.TensorType) and output.type.dtype.value:
            known = ValueType(output.type.dtype, known.shape)
        _store(output, known)


def _source(value: ir.Value) -> ValueType:
    """A value without a producer: initializer, graph input, or input of a subgraph or function."""
    if value.const_value is not None and not value.is_graph_input():
        return ValueType(value.const_value.dtype, tuple(value.const_value.shape.numpy()))
    if not isinstance(value.type, ir.TensorType):
        return UNKNOWN
    graph = value.graph
    if graph is not None and inputs_are_enforced(graph):
        return ValueType(value.type.dtype, _dims(value.shape))
    if graph is None or graph.opset_imports:
        return UNKNOWN  # a local function: its value_info binds nobody
    return ValueType(value.type.dtype, None)  # a subgraph: what is carried may change its shape each round


def _dims(declared: ir.Shape | None) -> Shape | None:
    if declared is None:
        return None
    return tuple(_dim(d) for d in declared)


def _dim(d: int | ir.SymbolicDim) -> Dim:
    if isinstance(d, int):
        return d if d >= 0 else None
    return d.value or None


def _outputs(node: ir.Node) -> list[ValueType]:
    if node.op_type == "Constant" and not node.domain:
        tensor = constants.constant_tensor(node)
        return [UNKNOWN if tensor is None else ValueType(tensor.dtype, tuple(tensor.shape.numpy()))]
    if any(a.type in (ir.AttributeType.GRAPH, ir.AttributeType.GRAPHS) for a in node.attributes.values()):
        return _of_subgraphs(node)
    if any(a.is_ref() for a in node.attributes.values()):
        return [UNKNOWN] * len(node.outputs)
    found = (
        contrib_quantized.output_type(node, _known)
        or contrib_matmul.output_type(node, _known)
        or contrib_attention.output_type(node, _known)
    )
    if found is not None:
        return [found, *[UNKNOWN] * (len(node.outputs) - 1)]
    schema = contrib.schema_of(node) or attributes.schema_of(node)
    if schema is None:
        return [UNKNOWN] * len(node.outputs)
    return _by_schema(node, contrib.as_standard(node) or _proto(node), schema)


def _known(value: ir.Value) -> ValueType:
    return _cached(value) or UNKNOWN


def _by_schema(node: ir.Node, proto: onnx.NodeProto, schema: onnx.defs.OpSchema) -> list[ValueType]:
    types: dict[str, onnx.TypeProto] = {}
    data: dict[str, onnx.TensorProto] = {}
    for index, value in enumerate(node.inputs):
        if value is None:
            continue
        known = _cached(value) or UNKNOWN
        if known.dtype is None:
            return [UNKNOWN] * len(node.outputs)
        types[f"i{index}"] = to_proto(known)
        if constants.is_constant(value) and known.shape is not None and _small(known.shape):
            array = constants.constant(value)
            if array is not None:
                data[f"i{index}"] = onnx.numpy_helper.from_array(array)
    try:
        inferred = onnx.shape_inference.infer_node_outputs(schema, proto, types, data)
    except (onnx.shape_inference.InferenceError, onnx.checker.ValidationError, ValueError, RuntimeError, KeyError):
        return [UNKNOWN] * len(node.outputs)  # contradictory or unsupported: nothing is proven
    return [from_proto(inferred.get(f"o{k}")) for k in range(len(node.outputs))]


def _small(dims: Shape) -> bool:
    size = 1
    for d in dims:
        size *= d if isinstance(d, int) else _MAX_DATA + 1
    return size <= _MAX_DATA


def _proto(node: ir.Node) -> onnx.NodeProto:
    """The node with inputs `i0, i1, ...` and outputs `o0, ...`: a value used twice stays two inputs."""
    proto = onnx.NodeProto(op_type=node.op_type, domain=node.domain)
    proto.input.extend("" if v is None else f"i{k}" for k, v in enumerate(node.inputs))
    proto.output.extend(f"o{k}" for k in range(len(node.outputs)))
    for attribute in node.attributes.values():
        proto.attribute.append(ir.serde.serialize_attribute(attribute))
    return proto


def _of_subgraphs(node: ir.Node) -> list[ValueType]:
    """If: what both branches agree on. Loop: the carried element types. Everything else: unknown."""
    if node.op_type == "If" and not node.domain:
        branches = [node.attributes[name].as_graph() for name in ("then_branch", "else_branch")]
        if any(len(b.outputs) != len(node.outputs) for b in branches):
            return [UNKNOWN] * len(node.outputs)
        return [_agreed(_type(a), _type(b)) for a, b in zip(branches[0].outputs, branches[1].outputs, strict=True)]
    if node.op_type == "Loop" and not node.domain:
        carried = list(node.inputs[2:])
        types = [ValueType(_type(v).dtype, None) if v is not None else UNKNOWN for v in carried]
        return (types + [UNKNOWN] * len(node.outputs))[: len(node.outputs)]
    return [UNKNOWN] * len(node.outputs)


def _agreed(a: ValueType, b: ValueType) -> ValueType:
    dims: Shape | None = None
    if a.shape is not None and b.shape is not None and len(a.shape) == len(b.shape):
        dims = tuple(x if x == y else None for x, y in zip(a.shape, b.shape, strict=True))
    return ValueType(a.dtype if a.dtype == b.dtype else None, dims)
