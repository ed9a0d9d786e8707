"""What must survive: everything of a model that its users can see from outside."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Mapping
from dataclasses import dataclass, replace

import onnx
import onnx_ir as ir

from ncgopt.model import messages
from ncgopt.model.load import from_proto, load
from ncgopt.model.tensors import pieces, string_data
from ncgopt.model.write import Writer

_MODEL_FIELDS = ("ir_version", "producer_name", "producer_version", "domain", "model_version", "doc_string")


@dataclass(frozen=True)
class Contract:
    """The interface of a model: what a user feeds, fetches, overrides or reads about it.

    Attributes:
        inputs: inputs as messages (name, type, shape with symbolic names, texts), in order. Inputs
            that have a default are in `defaults`, and below IR version 4 initializers are no inputs.
        outputs: outputs as messages, in order.
        defaults: inputs that have an initializer as their default, by name: the message and a digest
            of type, shape and elements.
        opsets: imported version of every operator set; the default domain is "".
        model: the model's own fields but graph, functions and opset imports, as one message: version,
            producer, texts, metadata, training info, device configurations, unknown fields.
        graph: name, texts and metadata of the main graph.
    """

    inputs: tuple[bytes, ...]
    outputs: tuple[bytes, ...]
    defaults: tuple[tuple[str, bytes, str], ...]
    opsets: Mapping[str, int]
    model: bytes
    graph: bytes

    @classmethod
    def of(cls, source: ir.Model | onnx.ModelProto | str | os.PathLike[str], *, trust_links: bool = False) -> Contract:
        """The contract of a model in memory, of a message without external data, or of a file.

        Raises:
            InputUnreadable, ModelInvalid: the file or message cannot be loaded.
        """
        if isinstance(source, onnx.ModelProto):
            source = from_proto(source).model
        elif not isinstance(source, ir.Model):
            source = load(source, trust_links=trust_links).model
        return cls._of_model(source)

    @classmethod
    def _of_model(cls, model: ir.Model) -> Contract:
        proto = Writer.interface(model)
        initializers = model.graph.initializers
        given = {value.name for value in model.graph.inputs}
        inputs = [info for info in proto.graph.input if info.name in given]
        head = messages.header(proto, {"graph", "functions", "opset_import"})
        return cls(
            inputs=tuple(messages.encode(info) for info in inputs if info.name not in initializers),
            outputs=tuple(messages.encode(info) for info in proto.graph.output),
            defaults=tuple(
                (info.name, messages.encode(info), _digest(initializers[info.name]))
                for info in inputs
                if info.name in initializers
            ),
            opsets=dict(model.opset_imports),
            model=messages.encode(head),
            graph=messages.encode(messages.header(proto.graph, {"input", "output"})),
        )

    def bind(self, sizes: Mapping[str, int]) -> Contract:
        """The contract with symbolic dimensions pinned to sizes, in inputs and outputs alike."""

        def pin(data: bytes) -> bytes:
            info = onnx.ValueInfoProto.FromString(data)
            _pin(info.type, sizes)
            return messages.encode(info)

        return replace(
            self,
            inputs=tuple(pin(info) for info in self.inputs),
            outputs=tuple(pin(info) for info in self.outputs),
            defaults=tuple((name, pin(info), digest) for name, info, digest in self.defaults),
        )

    def differences(self, other: Contract) -> tuple[str, ...]:
        """What `other` does not keep of this contract, one line each; empty if it keeps everything.

        Further operator sets may be imported.
        """
        lines = _info_differences("input", self.inputs, other.inputs)
        lines += _info_differences("output", self.outputs, other.outputs)
        lines += self._default_differences(other)
        for domain, version in self.opsets.items():
            if other.opsets.get(domain) != version:
                found = f"version {other.opsets[domain]}" if domain in other.opsets else "no import"
                lines.append(f"operator set {domain or 'ai.onnx'}: {found} instead of version {version}")
        lines += _field_differences(
            "model", onnx.ModelProto.FromString(self.model), onnx.ModelProto.FromString(other.model)
        )
        lines += _field_differences(
            "graph", onnx.GraphProto.FromString(self.graph), onnx.GraphProto.FromString(other.graph)
        )
        return tuple(lines)

    def _default_differences(self, other: Contract) -> list[str]:
        mine = tuple(info for _, info, _ in self.defaults)
        theirs = tuple(info for _, info, _ in other.defaults)
        lines = _info_differences("overridable initializer", mine, theirs)
        digests = {name: digest for name, _, digest in other.defaults}
        for name, _, digest in self.defaults:
            if digests.get(name, digest) != digest:
                lines.append(f"overridable initializer {name!r}: another default value")
        return lines


def _digest(value: ir.Value) -> str:
    tensor = value.const_value
    if tensor is None:
        raise ValueError(f"initializer {value.name!r} has no tensor")
    sha = hashlib.sha256(f"{tensor.dtype.name} {list(tensor.shape.numpy())} ".encode())
    if tensor.dtype == ir.DataType.STRING:
        for item in string_data(tensor):
            sha.update(f"{len(item)} ".encode() + item)
    else:
        for piece in pieces(tensor):
            sha.update(piece)
    return sha.hexdigest()


def _info_differences(kind: str, mine: tuple[bytes, ...], theirs: tuple[bytes, ...]) -> list[str]:
    """Differences between two lists of value infos: missing, new, reordered, changed."""
    left = {info.name: info for info in map(onnx.ValueInfoProto.FromString, mine)}
    right = {info.name: info for info in map(onnx.ValueInfoProto.FromString, theirs)}
    lines = [f"{kind} {name!r} is missing" for name in left if name not in right]
    lines += [f"{kind} {name!r} is new" for name in right if name not in left]
    if not lines and [*left] != [*right]:
        lines.append(f"{kind}s are in another order: {', '.join(right)} instead of {', '.join(left)}")
    if not lines and len(mine) != len(theirs):
        lines.append(f"{len(theirs)} {kind}s instead of {len(mine)}")
    for name, info in left.items():
        if name in right and messages.encode(info) != messages.encode(right[name]):
            lines.append(f"{kind} {name!r}: {_show(right[name])} instead of {_show(info)}")
    return lines


def _show(info: onnx.ValueInfoProto) -> str:
    """A value info on one line; protobuf's text form where there is more to it than a tensor type."""
    bare = onnx.ValueInfoProto(name=info.name)
    tensor = info.type.tensor_type
    bare.type.tensor_type.elem_type = tensor.elem_type
    dims = [str(dim.dim_value) if dim.HasField("dim_value") else dim.dim_param or "?" for dim in tensor.shape.dim]
    for dim in tensor.shape.dim:
        bare.type.tensor_type.shape.dim.add().MergeFrom(messages.header(dim, {"denotation"}))
    if tensor.HasField("shape"):
        bare.type.tensor_type.shape.SetInParent()
    if messages.encode(bare) != messages.encode(info):
        return "{" + " ".join(str(messages.header(info, {"name"})).split()) + "}"
    return ir.DataType(tensor.elem_type).name + (f"[{','.join(dims)}]" if tensor.HasField("shape") else "")


def _field_differences(
    kind: str, mine: onnx.ModelProto | onnx.GraphProto, theirs: onnx.ModelProto | onnx.GraphProto
) -> list[str]:
    lines = [f"{kind}: {name} differs" for name in messages.differing_fields(mine, theirs)]
    if not lines and messages.encode(mine) != messages.encode(theirs):
        lines.append(f"{kind}: unknown fields differ")
    return lines


def _pin(proto: onnx.TypeProto, sizes: Mapping[str, int]) -> None:
    kind = proto.WhichOneof("value")
    if kind in {"sequence_type", "optional_type"}:
        _pin(getattr(proto, kind).elem_type, sizes)
    elif kind == "map_type":
        _pin(proto.map_type.value_type, sizes)
    elif kind in {"tensor_type", "sparse_tensor_type"}:
        for dim in getattr(proto, kind).shape.dim:
            if dim.dim_param in sizes:
                dim.dim_value = sizes[dim.dim_param]
