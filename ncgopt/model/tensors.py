"""Tensors in memory: dense, sparse, of strings, and those whose bytes lie in another file."""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import cast

import numpy as np
import onnx
import onnx_ir as ir

from ncgopt.model import messages
from ncgopt.model.ondisk import FileTensor

DATA_FIELDS = frozenset(
    {"raw_data", "float_data", "int32_data", "string_data", "int64_data", "double_data", "uint64_data"}
)
_CHUNK = 1 << 22
LOCATION_KEYS = frozenset({"location", "offset", "length"})


class SparseTensor(ir.LazyTensor):
    """A sparse tensor of the file, dense to whoever asks for its elements.

    ONNX Runtime makes it dense on loading too, so passes may treat it as any other constant; `write`
    gives it back in sparse form as long as nobody replaced it.

    Attributes:
        sparse: the message as read, `values` holding `[NNZ]` elements and `indices` either `[NNZ]`
            positions in the flattened tensor or `[NNZ, rank]` coordinates.
    """

    def __init__(self, sparse: onnx.SparseTensorProto, values: ir.TensorProtocol, indices: ir.TensorProtocol) -> None:
        super().__init__(
            self._dense, dtype=values.dtype, shape=ir.Shape(sparse.dims), cache=False, name=sparse.values.name
        )
        self.sparse = sparse
        self.values = values
        self.indices = indices

    def _dense(self) -> ir.TensorProtocol:
        dense = np.zeros(tuple(self.sparse.dims), dtype=self.dtype.numpy())
        indices = self.indices.numpy()
        positions = indices if indices.ndim == 1 else np.ravel_multi_index(tuple(indices.T), dense.shape)
        dense.reshape(-1)[positions] = self.values.numpy().reshape(-1)
        return ir.Tensor(dense, dtype=self.dtype, name=self.name)


def byte_size(dtype: ir.DataType, count: int) -> int:
    """Bytes that `count` elements take in `raw_data`; types below a byte are packed."""
    return (count * dtype.bitwidth + 7) // 8


def tensor_bytes(tensor: ir.TensorProtocol) -> int:
    """Bytes that the elements of a tensor take in a file."""
    if isinstance(tensor, SparseTensor):
        return tensor_bytes(tensor.values) + tensor_bytes(tensor.indices)
    if tensor.dtype == ir.DataType.STRING:
        return sum(len(item) for item in string_data(tensor))
    return byte_size(tensor.dtype, math.prod(tensor.shape.numpy()))


def is_raw(tensor: ir.TensorProtocol) -> bool:
    """Whether the tensor's message holds its elements as `raw_data`: all but strings, and what the file has typed."""
    if isinstance(tensor, ir.TensorProtoTensor) and not tensor.raw.HasField("raw_data"):
        return False
    return not isinstance(tensor, SparseTensor) and tensor.dtype != ir.DataType.STRING


def write_tensor(tensor: ir.TensorProtocol, *, embed: bool = False) -> onnx.TensorProto:
    """The tensor as a message; external data are referred to by absolute path unless `embed`."""
    if isinstance(tensor, ir.TensorProtoTensor):
        proto = onnx.TensorProto()
        proto.CopyFrom(tensor.raw)
        _update_metadata(proto, tensor)
        return proto
    if isinstance(tensor, FileTensor) and tensor.external and not embed:
        return write_external(tensor, str(tensor.file.path), tensor.offset, tensor.length)
    proto = write_header(tensor)
    if tensor.dtype == ir.DataType.STRING:
        proto.string_data.extend(string_data(tensor))
    else:
        proto.raw_data = raw_bytes(tensor)
    return proto


def write_external(tensor: ir.TensorProtocol, location: str, offset: int, length: int) -> onnx.TensorProto:
    """The tensor as a message whose bytes lie in the file `location`."""
    proto = write_header(tensor)
    extra = [(entry.key, entry.value) for entry in proto.external_data if entry.key not in LOCATION_KEYS]
    del proto.external_data[:]
    proto.data_location = onnx.TensorProto.EXTERNAL
    for key, value in [("location", location), ("offset", str(offset)), ("length", str(length)), *extra]:
        proto.external_data.add(key=key, value=value)
    return proto


def write_header(tensor: ir.TensorProtocol) -> onnx.TensorProto:
    """The tensor as a message without its elements."""
    if isinstance(tensor, ir.TensorProtoTensor):
        proto = messages.header(tensor.raw, DATA_FIELDS)
        _update_metadata(proto, tensor)
        return proto
    if isinstance(tensor, FileTensor):
        proto = onnx.TensorProto()
        proto.CopyFrom(tensor.raw_proto)
        if proto.name != (tensor.name or ""):
            proto.name = tensor.name or ""
        _update_metadata(proto, tensor)
        return proto
    proto = onnx.TensorProto(data_type=tensor.dtype.value, dims=tensor.shape.numpy())
    if tensor.name:
        proto.name = tensor.name
    if tensor.doc_string:
        proto.doc_string = tensor.doc_string
    _write_metadata(proto, tensor)
    messages.restore(tensor.meta, proto)
    return proto


def raw_bytes(tensor: ir.TensorProtocol) -> bytes:
    """The elements as `raw_data` holds them, all at once."""
    return b"" if math.prod(tensor.shape.numpy()) == 0 else tensor.tobytes()


def pieces(tensor: ir.TensorProtocol) -> Iterator[bytes | memoryview]:
    """What `raw_bytes` gives, in pieces; each is gone when the next one is asked for.

    Raises:
        OSError: the file of a tensor on disk cannot be read, or changed since the model was read.
    """
    if isinstance(tensor, FileTensor):
        yield from tensor.file.chunks(tensor.offset, tensor.length)
        return
    data = memoryview(raw_bytes(tensor))
    for start in range(0, len(data), _CHUNK):
        yield data[start : start + _CHUNK]


def string_data(tensor: ir.TensorProtocol) -> list[bytes]:
    """The strings of a string tensor, in order, whatever class it is of."""
    if isinstance(tensor, ir.StringTensor):
        return list(tensor.string_data())
    flat = cast("list[object]", tensor.numpy().reshape(-1).tolist())
    return [item if isinstance(item, bytes) else str(item).encode() for item in flat]


def _update_metadata(proto: onnx.TensorProto, tensor: ir.TensorProtocol) -> None:
    """Write metadata only where somebody changed them: repeated keys are lost in memory."""
    if tensor.metadata_props != {entry.key: entry.value for entry in proto.metadata_props}:
        _write_metadata(proto, tensor)


def _write_metadata(proto: onnx.TensorProto, tensor: ir.TensorProtocol) -> None:
    del proto.metadata_props[:]
    for key, value in tensor.metadata_props.items():
        proto.metadata_props.add(key=key, value=value)
