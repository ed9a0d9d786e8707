"""A model with its symbolic dimensions bound, and the shapes of all values as far as they follow."""

from __future__ import annotations

from collections.abc import Mapping

import onnx
import onnx.inliner
import onnx_ir as ir

from ncgopt.cost import arithmetic
from ncgopt.cost.standins import Exchange, for_contrib, subgraphs
from ncgopt.model.tensors import byte_size, write_external, write_tensor
from ncgopt.model.write import Writer

# Larger constants are weights: their shape matters and their data does not. Smaller ones may be the
# target of a Reshape or the like, which inference must be able to read.
_WEIGHT_BYTES = 16_384


def symbols(model: ir.Model) -> dict[str, int]:
    """Names of the symbolic dimensions of the model's inputs, each with the default size 1."""
    found: dict[str, int] = {}
    for value in model.graph.inputs:
        for dim in value.shape or ():
            if isinstance(dim, ir.SymbolicDim) and dim.value:
                found.update(dict.fromkeys(sorted(_free(dim)), 1))
    return found


def bound(model: ir.Model, bindings: Mapping[str, int]) -> ir.Model:
    """A copy of the model with static shapes, local functions inlined.

    The copy is for looking at: its larger weights are references without data.

    Args:
        model: any model; it is not changed.
        bindings: sizes of symbolic dimensions. Those that are missing, and dimensions without a name,
            count as 1. A name like `past + sequence` that is not bound itself is computed.
    """
    proto = Writer(_without_data).model(model)
    _bind(proto.graph, {**symbols(model), **bindings})
    _forget(proto.graph)
    proto = onnx.inliner.inline_local_functions(proto)
    exchange = Exchange(proto.graph)
    exchange.put(for_contrib)
    proto = arithmetic.infer(proto, exchange)
    exchange.restore()
    return ir.from_proto(proto)


def _without_data(tensor: ir.TensorProtocol) -> onnx.TensorProto:
    """A tensor as it is, or a reference into no file where it is large."""
    if tensor.dtype == ir.DataType.STRING or tensor.nbytes <= _WEIGHT_BYTES:
        return write_tensor(tensor, embed=True)
    return write_external(tensor, "dropped", 0, byte_size(tensor.dtype, tensor.size))


def _bind(graph: onnx.GraphProto, sizes: Mapping[str, int]) -> None:
    for value in graph.input:
        if not value.type.HasField("tensor_type"):
            continue
        for dim in value.type.tensor_type.shape.dim:
            if not dim.HasField("dim_value") or dim.dim_value < 0:
                dim.dim_value = _size(dim.dim_param, sizes)


def _size(name: str, sizes: Mapping[str, int]) -> int:
    if not name:
        return 1
    if name in sizes:
        return sizes[name]
    result = ir.SymbolicDim(name).evaluate(dict(sizes))
    return max(result, 1) if isinstance(result, int) else 1


def _free(dim: ir.SymbolicDim) -> frozenset[str]:
    """Symbols of a dimension; a name that is no arithmetic (`batch size`) is one symbol itself."""
    try:
        return dim.free_symbols()
    except ValueError:
        return frozenset([dim.value or ""])


def _forget(graph: onnx.GraphProto) -> None:
    """Drop the declared types of inner values and outputs, and the data of sparse constants.

    The former may be out of date, and ONNX Runtime does not rely on them either; onnx-ir does not
    read the latter.
    """
    del graph.value_info[:]
    for value in graph.output:
        value.ClearField("type")
    for node in graph.node:
        for subgraph in subgraphs(node):
            _forget(subgraph)
        for attribute in node.attribute:
            if attribute.type == onnx.AttributeProto.SPARSE_TENSOR:
                dense = onnx.TensorProto(data_type=attribute.sparse_tensor.values.data_type)
                dense.dims.extend(attribute.sparse_tensor.dims)
                dense.data_location = onnx.TensorProto.EXTERNAL
                attribute.CopyFrom(onnx.AttributeProto(name="value", type=onnx.AttributeProto.TENSOR, t=dense))
