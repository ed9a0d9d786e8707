"""Tensors in memory: dense, sparse, of strings, and those whose bytes lie in another file."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import cast

import numpy as np
import numpy.typing as npt
import onnx
import onnx_ir as ir

from ncgopt.errors import ModelInvalid
from ncgopt.model import messages
from ncgopt.model.external import DataFolder
from ncgopt.model.ondisk import FileTensor, SourceFile
from ncgopt.model.parsed import ParsedTensor
from ncgopt.model.wire import Places

DATA_FIELDS = frozenset(
    {"raw_data", "float_data", "int32_data", "string_data", "int64_data", "double_data", "uint64_data"}
)
_TYPED_FIELDS = sorted(DATA_FIELDS - {"raw_data"})
_CHUNK = 1 << 22
_LOCATION_KEYS = frozenset({"location", "offset", "length"})
_MOST_DIGITS = 40
_MOST_DIMENSIONS = 32  # as NumPy has it from its first version on
_MOST_ELEMENTS = 1 << 58  # bytes and strides are counted in 64 bits, with a sign; dimensions of 0 aside
_UINT64_DATA = {ir.DataType.UINT32, ir.DataType.UINT64}
_WIDE = {
    ir.DataType.FLOAT: "float_data",
    ir.DataType.COMPLEX64: "float_data",
    ir.DataType.DOUBLE: "double_data",
    ir.DataType.COMPLEX128: "double_data",
    ir.DataType.INT64: "int64_data",
    ir.DataType.UINT32: "uint64_data",
    ir.DataType.UINT64: "uint64_data",
    ir.DataType.STRING: "string_data",
}


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


@dataclass
class TensorReader:
    """Makes in-memory tensors of messages; `where` says in errors which tensor is meant.

    Attributes:
        folder: where external data may lie; None refuses external data.
        places: where `raw_data` that were left out of the messages lie; None where none were.
        in_memory: whether tensors are read at once, and their files may go away.
        external: set to True once a tensor with external data was read.
    """

    folder: DataFolder | None
    places: Places | None = None
    in_memory: bool = False
    external: bool = False
    _files: dict[Path, SourceFile] = field(default_factory=dict[Path, SourceFile])

    def read(self, proto: onnx.TensorProto, where: str) -> ir.TensorProtocol:
        """The tensor, its size checked against its shape.

        Raises:
            ModelInvalid: dtype unknown, a negative dimension, or more or fewer data than the shape says.
            InputUnreadable: external data that is missing, too short or refused.
        """
        dtype = _dtype(proto, where)
        if any(dim < 0 for dim in proto.dims):
            raise ModelInvalid(f"{where} has a negative dimension: {list(proto.dims)}")
        if len(proto.dims) > _MOST_DIMENSIONS:
            raise ModelInvalid(f"{where} has {len(proto.dims)} dimensions; {_MOST_DIMENSIONS} is the most")
        if math.prod(dim for dim in proto.dims if dim) >= _MOST_ELEMENTS:
            raise ModelInvalid(f"{where} has a shape that nobody can count: {list(proto.dims)[:8]}")
        if proto.data_location == onnx.TensorProto.EXTERNAL:
            return self._read_external(proto, dtype, where)
        if (place := self._place(proto)) is not None:
            if dtype != ir.DataType.STRING and not any(getattr(proto, name) for name in _TYPED_FIELDS):
                return self._read_embedded(proto, dtype, place, where)
            proto.raw_data = b"".join(self._file(self.places.path).chunks(*place)) if self.places else b""
        _check_size(proto, dtype, where)
        if dtype != ir.DataType.STRING:
            return ParsedTensor(proto)
        strings = np.empty(len(proto.string_data), dtype=object)
        strings[:] = list(proto.string_data)
        tensor = ir.StringTensor(
            cast("npt.NDArray[np.bytes_]", strings.reshape(tuple(proto.dims))),
            shape=ir.Shape(proto.dims),
            name=proto.name or None,
            doc_string=proto.doc_string or None,
            metadata_props={entry.key: entry.value for entry in proto.metadata_props},
        )
        _remember(tensor, proto)
        return tensor

    def read_sparse(self, proto: onnx.SparseTensorProto, where: str) -> SparseTensor:
        """The sparse tensor, its parts checked against each other.

        Raises:
            ModelInvalid: shapes that do not fit together, or an index outside the tensor.
            InputUnreadable: as for `read`.
        """
        tensor = SparseTensor(
            proto,
            self.read(proto.values, f"values of sparse {where}"),
            self.read(proto.indices, f"indices of sparse {where}"),
        )
        indices = tensor.indices.numpy()
        count, rank = math.prod(proto.values.dims), len(proto.dims)
        if indices.shape not in {(count,), (count, rank)} or indices.dtype.kind not in "iu":
            raise ModelInvalid(f"sparse {where} has {count} values, but indices of shape {list(indices.shape)}")
        limits = math.prod(proto.dims) if indices.ndim == 1 else np.array(proto.dims)
        if ((indices < 0) | (indices >= limits)).any():
            raise ModelInvalid(f"sparse {where} has an index outside of its shape {list(proto.dims)}")
        return tensor

    def _place(self, proto: onnx.TensorProto) -> tuple[int, int] | None:
        return self.places.find(proto.raw_data) if self.places is not None and proto.HasField("raw_data") else None

    def _read_embedded(
        self, proto: onnx.TensorProto, dtype: ir.DataType, place: tuple[int, int], where: str
    ) -> ir.TensorProtocol:
        assert self.places is not None
        offset, length = place
        _require_size(length, byte_size(dtype, math.prod(proto.dims)), "bytes", where)
        proto.ClearField("raw_data")
        return self._finish(FileTensor(proto, dtype, self._file(self.places.path), offset, length, external=False))

    def _read_external(self, proto: onnx.TensorProto, dtype: ir.DataType, where: str) -> ir.TensorProtocol:
        entries = {entry.key: entry.value for entry in proto.external_data}
        if dtype == ir.DataType.STRING:
            raise ModelInvalid(f"{where} holds strings in external data, which ONNX does not allow")
        if self.folder is None:
            raise ModelInvalid(f"{where} has external data, but the folder it lies in was not given")
        nbytes = byte_size(dtype, math.prod(proto.dims))
        offset, length = _number(entries, "offset", 0, where), _number(entries, "length", nbytes, where)
        if length != nbytes:
            raise ModelInvalid(f"{where} has {length} bytes of external data, but its shape and type take {nbytes}")
        path = self.folder.find(entries.get("location", ""), offset + length, where)
        self.external = True
        header = messages.header(proto, DATA_FIELDS | {"data_location", "external_data"})
        for entry in proto.external_data:
            if entry.key not in _LOCATION_KEYS:
                header.external_data.add().CopyFrom(entry)
        return self._finish(FileTensor(header, dtype, self._file(path), offset, length, external=True))

    def _finish(self, tensor: FileTensor) -> ir.TensorProtocol:
        return ir.TensorProtoTensor(tensor.in_memory()) if self.in_memory else tensor

    def _file(self, path: Path) -> SourceFile:
        if path not in self._files:
            self._files[path] = SourceFile(path)
        return self._files[path]


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
    extra = [(entry.key, entry.value) for entry in proto.external_data if entry.key not in _LOCATION_KEYS]
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


def _remember(tensor: ir.TensorProtocol, proto: onnx.TensorProto) -> None:
    """Keep what the in-memory tensor cannot hold, its data aside."""
    messages.remember(tensor.meta, messages.header(proto, DATA_FIELDS), write_header(tensor))


def _update_metadata(proto: onnx.TensorProto, tensor: ir.TensorProtocol) -> None:
    """Write metadata only where somebody changed them: repeated keys are lost in memory."""
    if tensor.metadata_props != {entry.key: entry.value for entry in proto.metadata_props}:
        _write_metadata(proto, tensor)


def _write_metadata(proto: onnx.TensorProto, tensor: ir.TensorProtocol) -> None:
    del proto.metadata_props[:]
    for key, value in tensor.metadata_props.items():
        proto.metadata_props.add(key=key, value=value)


def _dtype(proto: onnx.TensorProto, where: str) -> ir.DataType:
    try:
        dtype = ir.DataType(proto.data_type)
    except ValueError:
        dtype = ir.DataType.UNDEFINED
    if dtype == ir.DataType.UNDEFINED:
        raise ModelInvalid(f"{where} has the unknown data type {proto.data_type}")
    return dtype


def _check_size(proto: onnx.TensorProto, dtype: ir.DataType, where: str) -> None:
    """The rules of ONNX Runtime's `UnpackTensor`: exactly as much data as shape and type say."""
    count = math.prod(proto.dims)
    if proto.HasField("raw_data") and dtype != ir.DataType.STRING:
        found, expected, unit = len(proto.raw_data), byte_size(dtype, count), "bytes"
    else:
        found, unit = len(getattr(proto, _WIDE.get(dtype, "int32_data"))), "elements"
        if dtype in {ir.DataType.COMPLEX64, ir.DataType.COMPLEX128}:
            expected = 2 * count
        elif dtype != ir.DataType.STRING and dtype.bitwidth in {2, 4}:
            expected = byte_size(dtype, count)
        else:
            expected = count
    _require_size(found, expected, unit, where)


def _require_size(found: int, expected: int, unit: str, where: str) -> None:
    if found != expected:
        raise ModelInvalid(f"{where} holds {found} {unit}, but its shape and type take {expected}")


def _number(entries: dict[str, str], key: str, default: int, where: str) -> int:
    text = entries.get(key, "")
    if not text:
        return default
    if not text.isascii() or not text.isdecimal():
        raise ModelInvalid(f"{where} has external data with the {key} {text!r}, which is no number")
    if len(text) > _MOST_DIGITS:
        raise ModelInvalid(f"{where} has external data with the {key} {text[:_MOST_DIGITS]}..., which no file has")
    return int(text)
