"""Tensors of a file, checked as they are read: in memory, or left where they lie."""

from __future__ import annotations

import math
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
from ncgopt.model.tensors import DATA_FIELDS, LOCATION_KEYS, SparseTensor, byte_size, write_header
from ncgopt.model.wire import Places

_TYPED_FIELDS = sorted(DATA_FIELDS - {"raw_data"})
_MOST_DIGITS = 40
_MOST_DIMENSIONS = 32  # as NumPy has it from its first version on
_MOST_ELEMENTS = 1 << 58  # bytes and strides are counted in 64 bits, with a sign; dimensions of 0 aside
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
            if entry.key not in LOCATION_KEYS:
                header.external_data.add().CopyFrom(entry)
        return self._finish(FileTensor(header, dtype, self._file(path), offset, length, external=True))

    def _finish(self, tensor: FileTensor) -> ir.TensorProtocol:
        return ir.TensorProtoTensor(tensor.in_memory()) if self.in_memory else tensor

    def _file(self, path: Path) -> SourceFile:
        if path not in self._files:
            self._files[path] = SourceFile(path)
        return self._files[path]


def _remember(tensor: ir.TensorProtocol, proto: onnx.TensorProto) -> None:
    """Keep what the in-memory tensor cannot hold, its data aside."""
    messages.remember(tensor.meta, messages.header(proto, DATA_FIELDS), write_header(tensor))


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
