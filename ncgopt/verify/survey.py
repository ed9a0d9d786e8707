"""Everything the search for feeds needs to know about a model, gathered in the child process."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import onnx

from ncgopt.dimensions import is_name
from ncgopt.verify.domains import domain_of
from ncgopt.verify.graph import GraphView, attribute, dims_of, nodes_of, read_graph
from ncgopt.verify.inputs import (
    Condition,
    Dim,
    Domain,
    Exact,
    Free,
    Index,
    Input,
    InputType,
    MapType,
    OptionalType,
    SequenceType,
    Size,
    Survey,
    Symbol,
    TensorType,
    Words,
    tensor_of,
    terms,
)

_WORDS = ("keys_strings", "cats_strings", "pool_strings", "string_vocabulary", "classlabels_strings", "stopwords")
_KEYS = ("int64_vocabulary", "keys_int64s", "cats_int64s")


def survey(path: Path) -> Survey:
    """Read a model's structure; raises InputUnreadable where that is not possible."""
    view, ir_version, size = read_graph(path)
    defaults = {tensor.name for tensor in view.proto.initializer}
    defaults |= {sparse.values.name for sparse in view.proto.sparse_initializer}
    fed = [value for value in view.proto.input if value.name not in defaults]
    types = {value.name: _type(value.type, value.name) for value in fed}
    bare = {dim for kind in types.values() for dim in (tensor_of(kind).dims or ()) if isinstance(dim, str)}
    names = frozenset(dim for dim in bare if terms(dim) == frozenset({dim}))
    inputs = tuple(Input(name, kind, _domain(view, name, kind)) for name, kind in types.items())
    return Survey(
        inputs=inputs,
        overridable=_overridable(view, defaults) if ir_version > 3 else (),
        symbols=_symbols(view, inputs, names),
        outputs=tuple(value.name for value in view.proto.output),
        random=view.random,
        quantizes=any("Quantize" in name or "QLinear" in name for name in view.operators),
        operators=tuple(sorted(view.operators - view.functions)),
        bytes=size,
    )


def _overridable(view: GraphView, defaults: set[str]) -> tuple[Input, ...]:
    return tuple(Input(v.name, _type(v.type, v.name)) for v in view.proto.input if v.name in defaults)


def _type(proto: Any, name: str) -> InputType:
    match proto.WhichOneof("value"):
        case "sequence_type":
            return SequenceType(_type(proto.sequence_type.elem_type, name))
        case "optional_type":
            return OptionalType(_type(proto.optional_type.elem_type, name))
        case "map_type":
            key = "string" if proto.map_type.key_type == onnx.TensorProto.STRING else "int64"
            return MapType(key, _type(proto.map_type.value_type, name))
        case "sparse_tensor_type":
            return _tensor(proto.sparse_tensor_type, name)
        case _:
            return _tensor(proto.tensor_type, name)


def _tensor(proto: Any, name: str) -> TensorType:
    element = proto.elem_type
    if element == onnx.TensorProto.STRING:
        dtype = "string"
    else:
        dtype = str(onnx.helper.tensor_dtype_to_np_dtype(element).name) if element else "float32"
    dims = dims_of(proto)
    if dims is None:
        return TensorType(dtype, None)
    return TensorType(dtype, tuple(_dim(dim, name, axis) for axis, dim in enumerate(dims)))


def _dim(dim: Dim | None, name: str, axis: int) -> Dim:
    return dim if isinstance(dim, int) or (dim is not None and is_name(dim)) else f"{name}[{axis}]"


def _domain(view: GraphView, name: str, kind: InputType) -> Domain:
    tensor = tensor_of(kind)
    if tensor.dtype == "string" or isinstance(kind, MapType):
        return Words(_words(view, isinstance(kind, MapType) and kind.key == "int64"))
    domain = domain_of(view, name, tensor)
    floating = tensor.dtype.startswith(("float", "bfloat"))
    if isinstance(domain, Index | Exact) or type(domain) is Size or not floating:
        scalar_flag = tensor.dtype == "bool" and tensor.dims is not None and all(dim == 1 for dim in tensor.dims)
        return Condition() if isinstance(domain, Free) and scalar_flag else domain
    return Free()


def _words(view: GraphView, numbers: bool) -> tuple[str | int, ...]:
    found: list[str | int] = []
    for node in nodes_of(view.proto):
        for name in _KEYS if numbers else _WORDS:
            values = attribute(node, name, ())
            found.extend(v.decode("utf-8", "replace") if isinstance(v, bytes) else v for v in values)
    return tuple(dict.fromkeys(found))[:64]


def _symbols(view: GraphView, inputs: tuple[Input, ...], names: frozenset[str]) -> tuple[Symbol, ...]:
    symbols: dict[str, Symbol] = {}
    for given in inputs:
        tensor = tensor_of(given.type)
        if tensor.dims is None:
            rank = Symbol(f"rank of {given.name}", "rank", "rank", (2, 1, 4, 3))
            symbols[rank.name] = rank
            symbols[f"{given.name}[...]"] = Symbol(f"{given.name}[...]", "length", "...")
            continue
        for axis, dim in enumerate(tensor.dims):
            for name in terms(dim, names) if isinstance(dim, str) else ():
                hints = _hints(view, given.name, axis, len(tensor.dims)) if name == dim else ()
                role = _role(name, axis, tensor)
                new = Symbol(name, role, _group(given.name, name, axis, role), hints)
                old = symbols.get(name)
                symbols[name] = new if old is None or (hints and not old.hints) else old
    return tuple(symbols.values())


def _role(name: str, axis: int, tensor: TensorType) -> str:
    rank = len(tensor.dims or ())
    lower = name.lower()
    if "batch" in lower or lower in {"n", "b"}:
        return "batch"
    if any(word in lower for word in ("seq", "time", "len", "past", "frame", "sample")):
        return "length"
    if axis == 0 and rank > 1:
        return "batch"
    others = [dim for other, dim in enumerate(tensor.dims or ()) if other != axis]
    if rank == 3 and axis == 1 and all(isinstance(dim, int) for dim in others):
        return "batch"  # a recurrent state: layers, batch, width
    floating = tensor.dtype.startswith(("float", "bfloat", "uint8"))
    if rank in {4, 5} and floating:
        channels_last = tensor.dims is not None and isinstance(tensor.dims[-1], int)
        return "channel" if axis == 1 and not channels_last else "spatial"
    return "length"


def _group(input_name: str, symbol: str, axis: int, role: str) -> str:
    """Numbered inputs (`past.0.key`, `past.1.key`) share the sizes of their unnamed dimensions."""
    if symbol != f"{input_name}[{axis}]":
        return symbol
    return (
        "batch" if axis == 0 else re.sub(r"\d+", "#", symbol.rpartition("[")[0]).replace("key", "value") + f"[{axis}]"
    )


def _hints(view: GraphView, name: str, axis: int, rank: int) -> tuple[int, ...]:
    """Sizes that the weights of the first consumers demand for this dimension."""
    hints: list[int] = []
    for use in view.uses.get(name, ()):
        weight = view.shapes.get(use.node.input[1], ()) if len(use.node.input) > 1 and use.slot == 0 else ()
        match use.node.op_type:
            case "Conv" | "ConvInteger" if axis == 1 and len(weight) > 1 and isinstance(weight[1], int):
                hints.append(weight[1] * int(attribute(use.node, "group", 1)))
            case "MatMul" | "Gemm" if axis == rank - 1 and len(weight) == 2:
                transposed = use.node.op_type == "Gemm" and attribute(use.node, "transB", 0)
                hints.extend(size for size in (weight[1 if transposed else 0],) if isinstance(size, int))
            case "LSTM" | "GRU" | "RNN" if axis == 2 and len(weight) == 3 and isinstance(weight[2], int):
                hints.append(weight[2])
            case "BatchNormalization" if axis == 1 and weight and isinstance(weight[0], int):
                hints.append(weight[0])
            case _:
                continue
    return tuple(dict.fromkeys(hints))
