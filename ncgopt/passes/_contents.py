"""Whether weights are equal, found out without reading most of them."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Hashable, Iterable, Iterator, Sequence
from typing import TypeVar, cast

import numpy as np
import onnx_ir as ir

from ncgopt.facts.marks import mark_of
from ncgopt.model.ondisk import FileTensor
from ncgopt.model.tensors import pieces

_SAMPLES = 16
_BLOCK = 1 << 23  # bytes of a matrix that are transposed at a time
_DIGEST, _TRANSPOSED_DIGEST = "ncgopt.digest", "ncgopt.digest.transposed"

T = TypeVar("T")


def grouped(items: Iterable[T], key: Callable[[T], Hashable]) -> Iterator[list[T]]:
    """Items with equal keys, in the order of the first of each; those that are alone are left out, and not asked."""
    groups: dict[Hashable, list[T]] = {}
    everything = list(items)
    for item in everything if len(everything) > 1 else ():
        groups.setdefault(key(item), []).append(item)
    yield from (group for group in groups.values() if len(group) > 1)


def sample(value: ir.Value) -> bytes:
    """A few elements of an initializer: tensors in which they differ need not be read any further."""
    tensor = tensor_of(value)
    last = max(tensor.size - 1, 0)
    return _peek(tensor, [last * step // (_SAMPLES - 1) for step in range(_SAMPLES)])


def corner_sample(value: ir.Value, *, transposed: bool = False) -> bytes:
    """A few elements of a matrix, or of its transpose: equal for a matrix and the transpose of its transpose."""
    tensor = tensor_of(value)
    rows, columns = tensor.shape.numpy()
    height, width = (columns, rows) if transposed else (rows, columns)
    places = [(step * 7919 % height, step * 104729 % width) for step in range(_SAMPLES)]
    return _peek(tensor, [j * columns + i if transposed else i * columns + j for i, j in places])


def digest(value: ir.Value, *, transposed: bool = False) -> bytes:
    """SHA-256 of the bytes of an initializer, or of its transpose; computed once per tensor, in pieces."""
    tensor = tensor_of(value)
    key = _TRANSPOSED_DIGEST if transposed else _DIGEST
    noted = cast("tuple[ir.TensorProtocol, bytes] | None", mark_of(value, key))
    if noted is not None and noted[0] is tensor:
        return noted[1]
    sha = hashlib.sha256()
    for piece in _transposed(tensor) if transposed else pieces(tensor):
        sha.update(piece)
    value.meta[key] = (tensor, sha.digest())
    return sha.digest()


def kind(value: ir.Value) -> tuple[ir.DataType, tuple[int, ...]]:
    """Element type and shape of an initializer."""
    tensor = tensor_of(value)
    return tensor.dtype, tuple(tensor.shape.numpy())


def tensor_of(value: ir.Value) -> ir.TensorProtocol:
    """The tensor of an initializer."""
    assert value.const_value is not None
    return value.const_value


def _peek(tensor: ir.TensorProtocol, positions: Sequence[int]) -> bytes:
    if tensor.size == 0 or tensor.dtype.bitwidth % 8:
        return b""  # says nothing: the digest has to
    if isinstance(tensor, FileTensor):
        return tensor.peek(positions)
    return np.asarray(tensor.numpy()).reshape(-1)[list(positions)].tobytes()


def _transposed(tensor: ir.TensorProtocol) -> Iterator[bytes]:
    """Bytes of the transpose of a matrix, in pieces that need little more than their own memory."""
    if not isinstance(tensor, FileTensor) or tensor.dtype.bitwidth % 8:
        yield np.ascontiguousarray(tensor.numpy().T).tobytes()
        return
    rows, columns = tensor.shape.numpy()
    step = max(1, _BLOCK // max(1, rows * tensor.dtype.bitwidth // 8))
    for start in range(0, columns, step):
        yield np.ascontiguousarray(tensor.columns(start, min(start + step, columns)).T).tobytes()
