"""New weights beyond a budget wait in a file until the model is written."""

from __future__ import annotations

import contextlib
import os
import tempfile
import weakref
from collections.abc import Generator
from pathlib import Path
from typing import Any

import numpy as np
import onnx_ir as ir

from ncgopt.errors import CannotWrite
from ncgopt.model.ondisk import FileTensor, SourceFile
from ncgopt.model.tensors import write_header

_SMALLEST = 1 << 16
_BUDGET = 1 << 23
_ALIGNMENT = 64


class Scratch:
    """Where the weights go that a run computes.

    Args:
        budget: bytes of them that may stay in memory; small ones do not count, and always stay.
    """

    def __init__(self, budget: int = _BUDGET) -> None:
        self._left = budget
        self._file: _ScratchFile | None = None

    def keep(self, tensor: ir.TensorProtocol) -> ir.TensorProtocol:
        """The tensor itself, or one that has its elements in the file.

        Raises:
            CannotWrite: the folder for temporary files is full.
        """
        if isinstance(tensor, FileTensor) or tensor.dtype == ir.DataType.STRING or tensor.dtype.bitwidth % 8:
            return tensor
        if tensor.nbytes < _SMALLEST:
            return tensor
        if tensor.nbytes <= self._left:
            self._left -= tensor.nbytes
            return tensor
        try:
            if self._file is None:
                self._file = _ScratchFile()
            offset = self._file.append(tensor.numpy())
        except OSError as error:
            raise CannotWrite(f"new weights do not fit into {tempfile.gettempdir()}: {error.strerror}") from error
        return FileTensor(write_header(tensor), tensor.dtype, self._file, offset, tensor.nbytes, external=False)


class _ScratchFile(SourceFile):
    """A file without a name; it goes when nobody refers to it any more."""

    def __init__(self) -> None:
        with tempfile.TemporaryFile(prefix="ncgopt-") as file:
            self._descriptor = os.dup(file.fileno())
        weakref.finalize(self, os.close, self._descriptor)
        self.path = Path(tempfile.gettempdir(), f"ncgopt-scratch-{id(self)}")
        self.size = 0

    def append(self, array: np.ndarray[Any, np.dtype[Any]]) -> int:
        """Write an array; returns its first byte."""
        offset = -(-self.size // _ALIGNMENT) * _ALIGNMENT
        data = np.ascontiguousarray(array).reshape(-1).view(np.uint8).data
        with self._handle("r+b") as file:
            file.seek(offset)
            while len(data):
                data = data[file.write(data) :]
            self.size = file.tell()
        return offset

    @contextlib.contextmanager
    def open(self) -> Generator[Any]:
        """The open file, unbuffered; nobody else writes to it."""
        with self._handle("rb") as file:
            yield file

    def _handle(self, mode: str) -> Any:
        return os.fdopen(os.dup(self._descriptor), mode, buffering=0)
