"""Models in the form that takes ONNX Runtime the least memory: a small message over weights in a file that it maps.

Of weights inside of the .onnx file ONNX Runtime makes copies: it parses the message with everything in it and
takes the weights out of that. Weights in a file beside the model are mapped, and are memory no longer than until
they are packed for a kernel. A BERT of 370 MB takes 396 MB that way instead of 640, and a quarter of the time.
Nothing else changes in the message, which goes through protobuf alone: the reader of `ncgopt.model`, which made the
result, must not come between the original and its judge.
"""

from __future__ import annotations

import contextlib
import math
import tempfile
from pathlib import Path
from typing import Any

import onnx_ir as ir

from ncgopt.model.stream import Output
from ncgopt.model.tensors import byte_size
from ncgopt.verify.outline import Outline, put_outside, read_outline, tensors_of

SMALLEST = 16 << 20
"""Bytes of embedded weights from which on it pays to write them once more."""

_PAGE = 4096  # what files are mapped by; kernels want no more than 64


class MappedModels:
    """Models as ONNX Runtime shall open them; files that are made for that are removed by `close`."""

    def __init__(self) -> None:
        self._folder: tempfile.TemporaryDirectory[str] | None = None
        self._made: dict[tuple[Path, int, int], Path] = {}

    def path_of(self, model: Path) -> Path:
        """Where to open a model: a copy whose weights are mapped, or the model itself where that would gain nothing.

        Raises:
            InputUnreadable: there is no such file, or it is no ONNX model.
        """
        found = model.stat()
        key = model, found.st_mtime_ns, found.st_size
        if found.st_size < SMALLEST:
            return model
        if key not in self._made:
            if self._folder is None:
                self._folder = tempfile.TemporaryDirectory(prefix="ncgopt-", ignore_cleanup_errors=True)
            self._made[key] = _with_data_beside(model, Path(self._folder.name), len(self._made)) or model
        return self._made[key]

    def close(self) -> None:
        """Remove the files; no session may be open any more."""
        self._made.clear()
        if self._folder is not None:
            self._folder.cleanup()
            self._folder = None


def _with_data_beside(model: Path, folder: Path, number: int) -> Path | None:
    """Write it; None where there is little to map, or no room for a copy."""
    outline = read_outline(model)
    initializers = outline.proto.graph.initializer
    if sum(_movable(outline, tensor) for tensor in initializers) < SMALLEST:
        return None
    copy = folder / f"{number}.onnx"
    data = copy.with_suffix(".data")
    try:
        with data.open("wb") as file:
            output = Output(file, hashed=False)
            for tensor in initializers:
                length = _movable(outline, tensor)
                content = outline.on_disk(tensor) if length else None
                if content is not None:
                    output.write(bytes(-output.position % _PAGE))
                    offset = output.position
                    output.copy(content)
                    put_outside(tensor, data.name, offset, length)
        for tensor in tensors_of(outline.proto):
            outline.fill(tensor)
        if not outline.is_understood:
            return None
        copy.write_bytes(outline.proto.SerializeToString())
    except (OSError, ValueError):  # a full disk; a message that needs more than 2 GB without its weights
        for path in (copy, data):
            with contextlib.suppress(OSError):
                path.unlink(missing_ok=True)
        return None
    return copy


def _movable(outline: Outline, tensor: Any) -> int:
    """Bytes of the weights of an initializer, if they may as well lie in a file beside the model; else 0.

    What contradicts itself stays as it is, so that ONNX Runtime says of it what it always says.
    """
    place = outline.place(tensor)
    if place is None or any((tensor.float_data, tensor.int32_data, tensor.int64_data, tensor.double_data)):
        return 0
    try:
        dtype = ir.DataType(tensor.data_type)
    except ValueError:
        return 0
    if dtype in (ir.DataType.UNDEFINED, ir.DataType.STRING) or dtype.bitwidth % 8:
        return 0
    return place[1] if place[1] == byte_size(dtype, math.prod(tensor.dims)) else 0
