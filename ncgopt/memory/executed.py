"""The graph that ONNX Runtime really executes: its own optimized model, and the sizes of all values in it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

import onnx_ir as ir
from onnx import GraphProto, ModelProto, ValueInfoProto

from ncgopt import facts
from ncgopt.dimensions import is_name
from ncgopt.facts import Dim, symbols
from ncgopt.memory.blocked import use_standard_operators
from ncgopt.memory.schedule import bodies
from ncgopt.model import load
from ncgopt.runtime.session import open_session

SIZELESS = (None, ir.DataType.STRING, ir.DataType.UNDEFINED)
"""Types whose elements take nobody knows how many bytes."""


@dataclass(frozen=True)
class Size:
    """Of a tensor: bytes per element (a fraction below a byte is rounded up as a whole), and its dimensions."""

    bits: int
    dims: tuple[Dim, ...]

    @property
    def bytes(self) -> Dim:
        """Of the whole tensor; None where a dimension is unknown."""
        return symbols.ceil_div(symbols.mul(symbols.product(self.dims), self.bits), 8)


def executed(model: Path, folder: Path, *, optimize: bool) -> ModelProto:
    """What ONNX Runtime executes, without the data of its weights, nodes in the order of execution.

    Args:
        model: a model.
        folder: an empty folder; ONNX Runtime writes the graph there, and all weights, which it may have changed.
        optimize: ORT_ENABLE_ALL, else ORT_DISABLE_ALL.

    Raises:
        LoadError: ONNX Runtime does not take the model.
    """
    path = folder / "executed.onnx"
    open_session(model, optimize=optimize, save_as=path)
    return ModelProto.FromString(path.read_bytes())


def sizes(model: ModelProto, folder: Path, binding: Mapping[str, int] | None = None) -> dict[str, Size]:
    """The size of every value of all graphs as far as it is known, over the symbols of the inputs.

    Args:
        model: what `executed` gave.
        folder: where that lies, with the weights.
        binding: sizes of symbols, `x[2]` for axis 2 of an input that gives it no name; numbers follow from
            numbers where nothing is known of symbols.
    """
    standard = ModelProto()
    standard.CopyFrom(model)
    version = next(one.version for one in standard.opset_import if not one.domain)
    for graph in _graphs(standard.graph):
        use_standard_operators(graph, version)
    _bind(standard.graph, binding or {})
    path = folder / "standard.onnx"
    path.write_bytes(standard.SerializeToString())
    loaded = load(path).model
    facts.survey(loaded)
    found = dict(_by_facts(loaded))
    known = {dim.dim_param for value in model.graph.input for dim in value.type.tensor_type.shape.dim}
    for graph in _graphs(model.graph):
        for value in (*graph.value_info, *graph.output):
            if value.name not in found and (size := _declared(value, known)) is not None:
                found[value.name] = size
    return found


def _bind(graph: GraphProto, binding: Mapping[str, int]) -> None:
    for value in graph.input:
        for axis, dim in enumerate(value.type.tensor_type.shape.dim):
            if dim.HasField("dim_value"):
                continue
            named = is_name(dim.dim_param)
            size = binding.get(dim.dim_param if named else f"{value.name}[{axis}]")
            if size is None and named:
                size = symbols.evaluate(symbols.declared(dim.dim_param), dict(binding))
            if size is not None:
                dim.dim_value = size


def _by_facts(model: ir.Model) -> Iterator[tuple[str, Size]]:
    for graph in model.graphs():
        for node in graph:
            for value in node.outputs:
                dims, dtype = facts.shape(value), facts.dtype(value)
                if value.name and dims is not None and None not in dims and dtype not in SIZELESS:
                    assert dtype is not None
                    yield value.name, Size(dtype.bitwidth, tuple(dims))


def _declared(value: ValueInfoProto, known: set[str]) -> Size | None:
    """What ONNX Runtime found itself, where that is numbers, or symbols of the inputs."""
    tensor = value.type.tensor_type
    if not value.type.HasField("tensor_type") or not tensor.HasField("shape") or tensor.elem_type in SIZELESS:
        return None
    dims: list[Dim] = []
    for dim in tensor.shape.dim:
        if not dim.HasField("dim_value") and dim.dim_param not in known:
            return None
        dims.append(dim.dim_value if dim.HasField("dim_value") else symbols.declared(dim.dim_param))
    return Size(ir.DataType(tensor.elem_type).bitwidth, tuple(dims))


def _graphs(graph: GraphProto) -> Iterator[GraphProto]:
    yield graph
    for node in graph.node:
        for body in bodies(node):
            yield from _graphs(body)
