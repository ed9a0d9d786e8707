"""A part of a model's main graph as a model of its own, its weights handed over without a copy."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, cast

import numpy as np
import onnx
import onnx_ir as ir

from ncgopt.model.tensors import write_tensor
from ncgopt.runtime.session import Array, RunError, Session, Value, open_session
from ncgopt.settings import VerifySettings
from ncgopt.verify.windows.side import NodeWriter, Side, inputs_of, weight_bytes

_EMBEDDED = 128  # bytes; smaller constants are part of the model: shapes and scalars that ONNX Runtime looks into


@dataclass(frozen=True)
class Piece:
    """Nodes of one side, what they need, and what of theirs is looked at.

    Attributes:
        side: the model it is of.
        nodes: in an order in which they can run.
        inputs: names of values computed outside, or given by the caller.
        constants: names of constants.
        outputs: names of what is computed; these may also be inputs or constants.
    """

    side: Side
    nodes: tuple[ir.Node, ...]
    inputs: tuple[str, ...]
    constants: tuple[str, ...]
    outputs: tuple[str, ...]

    @property
    def bytes(self) -> int:
        """Bytes of the constants."""
        return sum(weight_bytes(_tensor(self.side, name)) for name in self.constants)


def piece_of(side: Side, nodes: Iterable[ir.Node], outputs: Collection[str], fed: Collection[str] = ()) -> Piece:
    """The piece of such nodes; constants in `fed` are inputs like any other."""
    ordered = tuple(sorted(nodes, key=lambda node: side.place[node]))
    inside = {value for node in ordered for value in node.outputs}
    inputs: dict[str, None] = {}
    constants: dict[str, None] = {}
    outer = [value for node in ordered for value in inputs_of(node) if value not in inside]
    outer += [side.values[name] for name in outputs if side.values[name] not in inside]
    for value in outer:
        name = value.name or ""
        constant = side.tensor(value) is not None and name not in fed and not value.is_graph_input()
        (constants if constant else inputs)[name] = None
    return Piece(side, ordered, tuple(inputs), tuple(constants), tuple(outputs))


class RunningPiece:
    """A piece in ONNX Runtime; opened when first run, since the types of its inputs are known then."""

    def __init__(
        self,
        piece: Piece,
        settings: VerifySettings,
        *,
        optimize: bool,
        change: Callable[[Array], Array] | None = None,
    ) -> None:
        """`change` makes other float weights of the piece's own."""
        self.piece = piece
        self._change = change
        self._settings = settings
        self._optimize = optimize
        self._session: Session | None = None
        self._types: dict[str, Any] = {}
        self._fed: dict[str, Array] = {}

    def run(self, values: Mapping[str, Value]) -> dict[str, Value]:
        """What the piece computes of these values, by name.

        Raises:
            LoadError, RunError: ONNX Runtime refuses the piece, or the values.
        """
        piece = self.piece
        computed = [name for name in piece.outputs if name not in piece.inputs and name not in piece.constants]
        found = {name: values[name] for name in piece.outputs if name in piece.inputs}
        found |= {n: _tensor(piece.side, n).numpy() for n in piece.outputs if n in piece.constants}
        if computed:
            feeds = {name: values[name] for name in piece.inputs}
            session = self._open(feeds, computed)
            outputs = session.run({**feeds, **self._fed})
            given = dict(zip((port.name for port in session.outputs), outputs, strict=True))
            found |= {name: given[name] for name in computed}
        return found

    def _open(self, feeds: Mapping[str, Value], outputs: Sequence[str]) -> Session:
        types = {name: type_of(name, value) for name, value in feeds.items()}
        if self._session is None or types != self._types:
            # Fed anew with every run, large weights are used where they lie; as initializers they are copied, and
            # repacked for a kernel that runs a few times. Optimizations, though, work on constants.
            self._fed = {} if self._optimize else {name: _array(self.piece, name) for name in _feedable(self.piece)}
            types_of_all = types | {name: type_of(name, weight) for name, weight in self._fed.items()}
            proto, weights = write_piece(self.piece, types_of_all, outputs)
            if self._change is not None:
                weights = {n: self._change(w) if w.dtype.kind == "f" else w for n, w in weights.items()}
                self._fed = {name: self._change(weight) for name, weight in self._fed.items()}
            self._session = None
            self._session = open_session(
                proto.SerializeToString(), optimize=self._optimize, custom_ops=self._settings.custom_ops,
                providers=self._settings.providers, weights=weights, arena=False,
            )  # fmt: skip
            self._types = types
        return self._session


def write_piece(
    piece: Piece, types: Mapping[str, onnx.TypeProto], outputs: Sequence[str]
) -> tuple[onnx.ModelProto, dict[str, Array]]:
    """A piece as a model, and its larger weights, which that declares as external data (see `open_session`).

    Args:
        piece: the piece.
        types: of its inputs, and of constants that are to be inputs as well.
        outputs: names of what it shall give.
    """
    side, writer = piece.side, NodeWriter()
    proto = onnx.ModelProto(ir_version=max(side.model.ir_version, 4))
    for domain, version in side.model.graph.opset_imports.items():
        proto.opset_import.add(domain=domain, version=version)
    proto.functions.extend(side.functions.values())
    graph = cast(Any, proto.graph)
    graph.name = "piece"
    weights: dict[str, Array] = {}
    for name, kind in types.items():
        graph.input.add(name=name).type.CopyFrom(kind)
    for name in piece.constants:
        if name in types:
            continue
        tensor = _tensor(side, name)
        graph.initializer.append(_initializer(name, tensor, weights))
    for node in piece.nodes:
        graph.node.append(writer.node(node))
    for name in outputs:
        graph.output.add(name=name)  # of a type that ONNX Runtime infers
    return proto, weights


def _feedable(piece: Piece) -> list[str]:
    """Large float weights that only go into kernels which do not ask for constants."""
    readers: dict[str, set[str]] = {}
    for node in piece.nodes:
        plain = node.op_type if not node.domain and node.op_type in _TAKE_VARIABLES else ""
        for value in inputs_of(node):
            readers.setdefault(value.name or "", set()).add(plain)
    tensors = {name: _tensor(piece.side, name) for name in piece.constants if "" not in readers.get(name, {""})}
    return [name for name, t in tensors.items() if t.dtype in _FLOATS and weight_bytes(t) > _FED]


def _array(piece: Piece, name: str) -> Array:
    return np.ascontiguousarray(_tensor(piece.side, name).numpy())


def _initializer(name: str, tensor: ir.TensorProtocol, weights: dict[str, Array]) -> onnx.TensorProto:
    small = weight_bytes(tensor) <= _EMBEDDED
    if small or tensor.dtype not in _HANDED_OVER:
        proto = write_tensor(tensor, embed=True)
        proto.name = name
        return proto
    weights[name] = np.ascontiguousarray(tensor.numpy())
    proto = onnx.TensorProto(name=name, data_type=int(tensor.dtype), dims=tuple(tensor.shape.numpy()))
    proto.data_location = onnx.TensorProto.EXTERNAL
    for key, value in (("location", "weights"), ("offset", "0"), ("length", str(weights[name].nbytes))):
        proto.external_data.add(key=key, value=value)
    return proto


_FLOATS = {ir.DataType.FLOAT, ir.DataType.DOUBLE, ir.DataType.FLOAT16}
_TAKE_VARIABLES = {"MatMul", "Gemm", "Gather", "Add", "Mul", "Conv", "Transpose"}
_FED = 1 << 20  # bytes

_HANDED_OVER = {
    *(ir.DataType.FLOAT, ir.DataType.DOUBLE, ir.DataType.FLOAT16, ir.DataType.INT8, ir.DataType.UINT8),
    *(ir.DataType.INT16, ir.DataType.UINT16, ir.DataType.INT32, ir.DataType.INT64),
}


def type_of(name: str, value: Value) -> onnx.TypeProto:
    """The type of a value that was computed; sizes are left open, since they differ between runs."""
    proto = onnx.TypeProto()
    if isinstance(value, list) and value:
        proto.sequence_type.elem_type.CopyFrom(type_of(name, value[0]))
        proto.sequence_type.elem_type.tensor_type.ClearField("shape")
        return proto
    if not isinstance(value, np.ndarray):
        raise RunError(f"{name} is {type(value).__name__}, which cannot go from one piece into the next")
    strings = value.dtype.kind in "OUS"
    element = onnx.TensorProto.STRING if strings else onnx.helper.np_dtype_to_tensor_dtype(value.dtype)
    proto.tensor_type.elem_type = element
    proto.tensor_type.shape.CopyFrom(onnx.TensorShapeProto(dim=[onnx.TensorShapeProto.Dimension()] * value.ndim))
    return proto


def _tensor(side: Side, name: str) -> ir.TensorProtocol:
    tensor = side.tensor(side.values[name])
    if tensor is None:
        raise ValueError(f"{name} is no constant")
    return tensor
