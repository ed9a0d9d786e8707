"""Tensors whose elements stay in their file until somebody reads them."""

from __future__ import annotations

import contextlib
import errno
import hashlib
import mmap
import os
from collections.abc import Generator, Iterable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import onnx
import onnx_ir as ir

from ncgopt.errors import InputUnreadable

_MAPPED_FROM = 1 << 20
"""Bytes from which on an array is a view into the file. A copy of fewer is as cheap, and needs no
descriptor as long as it lives."""

_CHUNK = 1 << 20


class SourceFile:
    """A file as it was when the model was read; whoever reads from it later gets that or an error.

    It is opened anew each time: a model may have more data files than a process may open, and
    Windows replaces no file that is open.

    Attributes:
        path: absolute path.
        size: its bytes.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        found = path.stat()
        self.size = found.st_size
        self._identity = _identity(found)

    @contextlib.contextmanager
    def open(self) -> Generator[Any]:
        """The open file, unbuffered.

        Raises:
            OSError: it cannot be read, or was replaced or written to since.
        """
        with self.path.open("rb", buffering=0) as file:
            if _identity(os.fstat(file.fileno())) != self._identity:
                raise OSError(errno.EIO, "The file changed since the model was loaded", str(self.path))
            yield file

    def array(self, offset: int, size: int, dtype: np.dtype[Any], *, aligned: bool = True) -> npt.NDArray[Any]:
        """`size` elements from byte `offset` on, read-only; a view into the file where that saves memory.

        Without `aligned`, elements may lie at any byte: numpy copes with that, other native code may not.
        """
        nbytes = size * dtype.itemsize
        with self.open() as file:
            if nbytes >= _MAPPED_FROM and (offset % dtype.alignment == 0 or not aligned):
                start = offset - offset % mmap.ALLOCATIONGRANULARITY
                view = mmap.mmap(file.fileno(), offset - start + nbytes, access=mmap.ACCESS_READ, offset=start)
                return np.frombuffer(view, dtype=dtype, count=size, offset=offset - start)
            found = np.empty(size, dtype=dtype)
            _fill(file, offset, found.view(np.uint8).data, self.path)
            found.flags.writeable = False
            return found

    def chunks(self, offset: int, length: int) -> Iterator[memoryview]:
        """`length` bytes from `offset` on, in pieces; each is gone when the next one is asked for."""
        return self.ranges((offset + start, min(_CHUNK, length - start)) for start in range(0, length, _CHUNK))

    def ranges(self, ranges: Iterable[tuple[int, int]]) -> Iterator[memoryview]:
        """Ranges as first byte and bytes; each is gone when the next one is asked for."""
        buffer = memoryview(b"")
        with self.open() as file:
            for start, length in ranges:
                if length > len(buffer):
                    buffer = memoryview(bytearray(length))
                _fill(file, start, buffer[:length], self.path)
                yield buffer[:length]

    def sha256(self) -> str:
        """Of the whole file, in hexadecimal."""
        digest = hashlib.sha256()
        for piece in self.chunks(0, self.size):
            digest.update(piece)
        return digest.hexdigest()


class FileTensor(ir.LazyTensor):
    """A tensor whose elements lie in a file, in the form that `raw_data` has.

    Attributes:
        raw_proto: its message without elements, and without what says where these are.
        file: where they lie.
        offset, length: first byte and bytes.
        external: whether the model calls this its external data; otherwise the file is the model itself.
    """

    def __init__(
        self, proto: onnx.TensorProto, dtype: ir.DataType, file: SourceFile, offset: int, length: int, *, external: bool
    ) -> None:
        self.raw_proto = proto
        self.file, self.offset, self.length, self.external = file, offset, length, external
        super().__init__(
            self._read,
            dtype=dtype,
            shape=ir.Shape(proto.dims, frozen=True),
            cache=False,
            name=proto.name,
            doc_string=proto.doc_string or None,
            metadata_props={entry.key: entry.value for entry in proto.metadata_props},
        )

    @property
    def aligned(self) -> bool:
        """Whether each element lies at a multiple of its size."""
        return self.offset % max(1, self.dtype.bitwidth // 8) == 0

    def numpy(self) -> npt.NDArray[Any]:
        """The elements, anew on each call: nobody else keeps them.

        Raises:
            InputUnreadable: the file cannot be read any more, or changed since the model was read.
        """
        return self._array(aligned=True)

    def view(self) -> npt.NDArray[Any]:
        """As `numpy`, for numpy alone: of a large tensor a view into the file, wherever its elements lie there."""
        return self._array(aligned=False)

    def _array(self, *, aligned: bool) -> npt.NDArray[Any]:
        if self.dtype.bitwidth < 8 or self.dtype.bitwidth % 8:
            return self._read().numpy()
        dtype = np.dtype(self.dtype.numpy()).newbyteorder("<")
        try:
            flat = self.file.array(self.offset, self.size, dtype, aligned=aligned)
        except OSError as error:
            raise self._unreadable(error) from error
        return flat.reshape(self.shape.numpy())

    def peek(self, positions: Iterable[int]) -> bytes:
        """The bytes of single elements of a type of whole bytes, by position in the flat tensor; raises as `numpy`."""
        width = self.dtype.bitwidth // 8
        return b"".join(bytes(piece) for piece in self._ranges((position * width, width) for position in positions))

    def columns(self, start: int, stop: int) -> npt.NDArray[Any]:
        """Columns of a matrix of whole bytes, `[rows, stop - start]`, nothing else being read; raises as `numpy`."""
        rows, width = self.shape.numpy()
        found = np.empty((rows, stop - start), dtype=np.dtype(self.dtype.numpy()).newbyteorder("<"))
        size = found.dtype.itemsize
        pieces = self._ranges(((row * width + start) * size, (stop - start) * size) for row in range(rows))
        for row, piece in zip(found, pieces, strict=True):
            row.view(np.uint8)[:] = piece
        return found

    def tobytes(self) -> bytes:
        """The bytes of the elements; raises as `numpy` does."""
        try:
            return b"".join(bytes(piece) for piece in self.file.chunks(self.offset, self.length))
        except OSError as error:
            raise self._unreadable(error) from error

    def tofile(self, file: Any) -> None:
        """Write the bytes of the elements to an open file; raises as `numpy` does."""
        try:
            for piece in self.file.chunks(self.offset, self.length):
                file.write(piece)
        except OSError as error:
            raise self._unreadable(error) from error

    def in_memory(self) -> onnx.TensorProto:
        """The tensor as a message that holds its elements."""
        proto = onnx.TensorProto()
        proto.CopyFrom(self.raw_proto)
        proto.raw_data = self.tobytes()
        return proto

    def _read(self) -> ir.TensorProtocol:
        """What onnx-ir makes of the message; it knows how elements of less than a byte are packed."""
        return ir.TensorProtoTensor(self.in_memory())

    def _ranges(self, ranges: Iterable[tuple[int, int]]) -> Iterator[memoryview]:
        try:
            yield from self.file.ranges((self.offset + start, length) for start, length in ranges)
        except OSError as error:
            raise self._unreadable(error) from error

    def _unreadable(self, error: OSError) -> InputUnreadable:
        return InputUnreadable(f"{self.file.path} cannot be read: {error.strerror or error}")


def _identity(found: os.stat_result) -> tuple[int, int, int, int]:
    return found.st_dev, found.st_ino, found.st_size, found.st_mtime_ns


def _fill(file: Any, offset: int, target: memoryview, path: Path) -> None:
    file.seek(offset)
    while len(target):
        count = file.readinto(target)
        if not count:
            raise OSError(errno.EIO, "The file ends too early", str(path))
        target = target[count:]
