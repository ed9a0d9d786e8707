"""What is in a model, without running it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import onnx
import onnx_ir as ir

from ncgopt import facts
from ncgopt.cost import GraphCost, graph_cost
from ncgopt.facts.coverage import Coverage, coverage
from ncgopt.facts.declared import contradictions
from ncgopt.model import Contract, load, stats
from ncgopt.model.ondisk import FileTensor
from ncgopt.report import Contradiction, ModelStats, Repair


@dataclass(frozen=True)
class Port:
    """An input or output.

    Attributes:
        name: its name.
        type: element type, or the whole type where it is no tensor: `float`, `seq(tensor(float))`.
        shape: sizes, names of symbolic dimensions, or `?`; None for unknown rank and for no tensor.
        has_default: whether the model brings a value that is used when nothing is fed.
    """

    name: str
    type: str
    shape: tuple[int | str, ...] | None
    has_default: bool = False

    @property
    def text(self) -> str:
        """`float[batch,3]`, in the notation of ONNX's text format."""
        dims = "" if self.shape is None else f"[{','.join(str(dim) for dim in self.shape)}]"
        return f"{self.type}{dims}{' (has a default)' if self.has_default else ''}"


@dataclass(frozen=True)
class FunctionInfo:
    """A local function, as `domain::name`, and how many nodes it has."""

    name: str
    nodes: int


@dataclass(frozen=True)
class ExternalFile:
    """A file that holds weights, seen from the model's folder, and how many bytes of it the model uses."""

    location: str
    bytes: int


@dataclass(frozen=True)
class Inspection:
    """Everything that can be said about a model without running it.

    Attributes:
        model: path as given.
        producer_name, producer_version, ir_version: as the model says.
        opsets: imported version of every operator set; the default domain is "".
        stats: size in nodes, parameters and bytes, and the operators.
        inputs: what must be fed, then what may be.
        outputs: what comes out.
        dynamic_dims: symbolic dimensions of the inputs, in order of appearance; `input[axis]` for one
            without a name.
        external_data: files with weights.
        functions: local functions.
        metadata: the model's metadata.
        repairs: what ONNX Runtime tolerates and the standard forbids.
        cost: FLOPs and bytes at the given bindings.
        facts: how much of it ncgopt sees through; None where that was not asked for.
        contradictions: values whose declared type or shape is not what they have; looked for with `facts`.
    """

    model: str
    producer_name: str
    producer_version: str
    ir_version: int
    opsets: Mapping[str, int]
    stats: ModelStats
    inputs: tuple[Port, ...]
    outputs: tuple[Port, ...]
    dynamic_dims: tuple[str, ...]
    external_data: tuple[ExternalFile, ...]
    functions: tuple[FunctionInfo, ...]
    metadata: Mapping[str, str]
    repairs: tuple[Repair, ...]
    cost: GraphCost
    facts: Coverage | None = None
    contradictions: tuple[Contradiction, ...] = ()


def inspect(path: Path, bind: Mapping[str, int], *, trust_links: bool = False, with_facts: bool = False) -> Inspection:
    """Describe the model at `path`.

    Args:
        path: an ONNX file.
        bind: sizes of symbolic dimensions, for the cost; those left out count as 1.
        trust_links: accept external data behind links that leave the model's folder.
        with_facts: also say what can be proven about the values, which takes a few seconds on a large model.

    Raises:
        InputUnreadable: the file is missing, damaged or no model.
        ModelInvalid: an ONNX file whose content contradicts itself.
    """
    loaded = load(path, trust_links=trust_links)
    model, contract = loaded.model, Contract.of(loaded.model)
    inputs = [_port(message, has_default=False) for message in contract.inputs]
    inputs += [_port(message, has_default=True) for _, message, _ in contract.defaults]
    facts.survey(model)
    return Inspection(
        model=str(path),
        producer_name=model.producer_name or "",
        producer_version=model.producer_version or "",
        ir_version=model.ir_version,
        opsets=dict(model.opset_imports),
        stats=stats(model, loaded.file_bytes),
        inputs=tuple(inputs),
        outputs=tuple(_port(message, has_default=False) for message in contract.outputs),
        dynamic_dims=tuple(dict.fromkeys(_dynamic(inputs))),
        external_data=_external(model, path.absolute().parent),
        functions=tuple(_functions(model)),
        metadata=dict(model.metadata_props),
        repairs=tuple(loaded.repairs),
        cost=graph_cost(model, bind),
        facts=coverage(model) if with_facts else None,
        contradictions=tuple(contradictions(model)) if with_facts else (),
    )


def _port(message: bytes, *, has_default: bool) -> Port:
    info = onnx.ValueInfoProto.FromString(message)
    kind = info.type.WhichOneof("value")
    if kind not in ("tensor_type", "sparse_tensor_type"):
        return Port(info.name, _type_text(info.type), None, has_default)
    tensor = info.type.tensor_type if kind == "tensor_type" else info.type.sparse_tensor_type
    shape: tuple[int | str, ...] | None = None
    if tensor.HasField("shape"):
        shape = tuple(dim.dim_value if dim.HasField("dim_value") else dim.dim_param or "?" for dim in tensor.shape.dim)
    prefix = "sparse " if kind == "sparse_tensor_type" else ""
    return Port(info.name, prefix + _element(tensor.elem_type), shape, has_default)


def _type_text(kind: onnx.TypeProto) -> str:
    """A type in the notation that ONNX's operator documentation uses."""
    match kind.WhichOneof("value"):
        case "sequence_type":
            return f"seq({_type_text(kind.sequence_type.elem_type)})"
        case "optional_type":
            return f"optional({_type_text(kind.optional_type.elem_type)})"
        case "map_type":
            return f"map({_element(kind.map_type.key_type)}, {_type_text(kind.map_type.value_type)})"
        case "tensor_type":
            return f"tensor({_element(kind.tensor_type.elem_type)})"
        case "sparse_tensor_type":
            return f"sparse_tensor({_element(kind.sparse_tensor_type.elem_type)})"
        case other:
            return other or "unknown"


def _element(number: int) -> str:
    try:
        return onnx.TensorProto.DataType.Name(number).lower()  # pyright: ignore[reportArgumentType]
    except ValueError:
        return f"unknown type {number}"


def _dynamic(inputs: Sequence[Port]) -> Iterator[str]:
    for port in inputs:
        for axis, dim in enumerate(port.shape or ()):
            if isinstance(dim, str):
                yield f"{port.name}[{axis}]" if dim == "?" else dim


def _functions(model: ir.Model) -> Iterator[FunctionInfo]:
    for function in model.functions.values():
        name = f"{function.domain}::{function.name}" if function.domain else function.name
        yield FunctionInfo(name, sum(1 for _ in function.all_nodes()))


def _external(model: ir.Model, folder: Path) -> tuple[ExternalFile, ...]:
    """Files that weights lie in, in order of first use; a range that several weights share counts once."""
    ranges: dict[str, set[tuple[int, int]]] = {}
    for tensor in _tensors(model):
        if isinstance(tensor, FileTensor) and tensor.external:
            file = tensor.file.path
            name = str(file.relative_to(folder) if file.is_relative_to(folder) else file)
            used = ranges.setdefault(name, set())
            used.add((tensor.offset, tensor.length))
    return tuple(ExternalFile(location, sum(size for _, size in used)) for location, used in ranges.items())


def _tensors(model: ir.Model) -> Iterator[ir.TensorProtocol]:
    for graph in model.graphs():
        for value in graph.initializers.values():
            if value.const_value is not None:
                yield value.const_value
        for node in graph:
            for attribute in node.attributes.values():
                if attribute.type == ir.AttributeType.TENSOR and not attribute.is_ref():
                    yield attribute.as_tensor()
