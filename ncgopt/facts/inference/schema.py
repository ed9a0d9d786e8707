"""ONNX's own inference: element types, and shapes wherever symbols do not matter."""

from __future__ import annotations

from collections.abc import Hashable, Sequence
from typing import cast

import onnx
import onnx_ir as ir

from ncgopt.facts import attributes, contrib, contrib_attention, contrib_matmul, contrib_quantized
from ncgopt.facts.inference.view import Contents, NodeView
from ncgopt.facts.types import UNKNOWN, ValueType, from_proto, to_proto

_MAX_DATA = 4096  # elements of a constant handed to inference: shapes and axes, not weights
_PLAIN = frozenset({ir.AttributeType.INT, ir.AttributeType.FLOAT, ir.AttributeType.STRING})
_LISTS = frozenset({ir.AttributeType.INTS, ir.AttributeType.FLOATS, ir.AttributeType.STRINGS})
_FAILURES = (onnx.shape_inference.InferenceError, onnx.checker.ValidationError, ValueError, RuntimeError, KeyError)

# Of all others, the inference of ONNX looks at integers alone: to read every bias would take longer than all the rest.
_READING_FLOATS = frozenset({"Resize", "Upsample", "Range", "OneHot"})

_Key = tuple[Hashable, ...]
_MAX_ANSWERS = 50_000
_answers: dict[_Key, Sequence[ValueType] | None] = {}


def infer(view: NodeView) -> list[ValueType]:
    """Types of all outputs; unknown where the operator is, or where what is known contradicts itself.

    An input of unknown element type is tried as two types that the operator takes: what comes out
    the same both times does not depend on it.
    """
    node = view.node
    unknown = [UNKNOWN] * len(node.outputs)
    found = node.domain and (
        contrib_quantized.output_type(node, view.type_of)
        or contrib_matmul.output_type(node, view.type_of)
        or contrib_attention.output_type(node, view.type_of)
    )
    if found:
        return [found, *unknown[1:]]
    schema = contrib.schema_of(node) or attributes.schema_of(node)
    if schema is None or any(a.is_ref() for a in node.attributes.data.values()):
        return unknown
    answers = [_once(view, schema, trial) for trial in range(1 + _has_untyped(view))]
    if None in answers:
        return unknown
    first, last = answers[0], answers[-1]
    assert first is not None
    assert last is not None
    if first is last:
        return list(first)
    return [_common(a, b) for a, b in zip(first, last, strict=True)]


def _has_untyped(view: NodeView) -> bool:
    return any(v is not None and view.type_of(v).dtype is None for v in view.node.inputs)


def _once(view: NodeView, schema: onnx.defs.OpSchema, trial: int) -> Sequence[ValueType] | None:
    node = view.node
    types: list[ValueType | None] = []
    data: list[Contents | None] = []
    guesses: dict[str, ir.DataType] = {}
    for index, value in enumerate(node.inputs):
        known = view.type_of(value) if value is not None else None
        if known is not None and known.dtype is None:
            guess = _guess(schema, index, trial, guesses)
            if guess is None:
                return None
            known = ValueType(guess, known.shape)
        types.append(known)
        data.append(None if known is None else _data(view, index, known))
    key = _key(node, types, data)
    if key is not None and key in _answers:
        return _answers[key]
    found = _inferred(node, schema, types, data)
    if key is not None:
        if len(_answers) >= _MAX_ANSWERS:
            _answers.clear()
        _answers[key] = found
    return found


def _inferred(
    node: ir.Node, schema: onnx.defs.OpSchema, types: Sequence[ValueType | None], data: Sequence[Contents | None]
) -> Sequence[ValueType] | None:
    """What ONNX says; None where it finds a contradiction, or cannot tell."""
    given = {f"i{k}": to_proto(known) for k, known in enumerate(types) if known is not None}
    held = {f"i{k}": onnx.numpy_helper.from_array(array) for k, array in enumerate(data) if array is not None}
    try:
        inferred = onnx.shape_inference.infer_node_outputs(
            schema, contrib.as_standard(node) or _proto(node), given, held
        )
    except _FAILURES:
        return None
    return [from_proto(inferred.get(f"o{k}")) for k in range(len(node.outputs))]


def _key(node: ir.Node, types: Sequence[ValueType | None], data: Sequence[Contents | None]) -> _Key | None:
    """All that the answer depends on: layers repeat, and after every change there is something to ask again."""
    attributes: list[Hashable] = []
    for name, attribute in node.attributes.data.items():
        if attribute.type in _LISTS:
            attributes.append((name, attribute.type, tuple(cast("Sequence[Hashable]", attribute.value))))
        elif attribute.type in _PLAIN:
            attributes.append((name, attribute.type, cast(Hashable, attribute.value)))
        else:
            return None
    if any(array is not None and array.dtype.hasobject for array in data):
        return None
    held = tuple(None if array is None else (array.dtype.str, array.shape, array.tobytes()) for array in data)
    operator = (node.domain, node.op_type, node.version, len(node.outputs))
    return (operator, tuple(attributes), tuple(types), held)


def _guess(schema: onnx.defs.OpSchema, index: int, trial: int, guesses: dict[str, ir.DataType]) -> ir.DataType | None:
    """An element type that the operator takes there; inputs bound to one type variable share it."""
    if not schema.inputs:
        return None
    formal = schema.inputs[min(index, len(schema.inputs) - 1)]
    if formal.type_str not in guesses:
        names = sorted(t[7:-1] for t in formal.types if t.startswith("tensor("))
        kinds = [_KINDS[n] for n in names if n in _KINDS]
        if len(kinds) <= trial:
            return None
        guesses[formal.type_str] = kinds[trial]
    return guesses[formal.type_str]


_KINDS = {
    "float": ir.DataType.FLOAT,
    "int64": ir.DataType.INT64,
    "bool": ir.DataType.BOOL,
    "float16": ir.DataType.FLOAT16,
    "double": ir.DataType.DOUBLE,
    "uint8": ir.DataType.UINT8,
    "int8": ir.DataType.INT8,
    "int32": ir.DataType.INT32,
}


def _common(a: ValueType, b: ValueType) -> ValueType:
    return ValueType(a.dtype if a.dtype == b.dtype else None, a.shape if a.shape == b.shape else None)


def _data(view: NodeView, index: int, known: ValueType) -> Contents | None:
    """What a small input holds, where every element is known: constants, and sizes that are numbers."""
    if known.shape is None or not _is_small(known):
        return None
    if view.node.op_type not in _READING_FLOATS and (known.dtype is None or known.dtype.is_floating_point()):
        return None
    array = view.array(index)
    if array is None:
        contents = view.contents(index)
        if contents is None or known.dtype is None or not all(isinstance(n, int) for n in contents.flat):
            return None
        array = contents.astype(known.dtype.numpy())
    return array


def _is_small(known: ValueType) -> bool:
    size = 1
    for d in known.shape or ():
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
