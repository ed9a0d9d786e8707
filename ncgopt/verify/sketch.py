"""What is told of outputs across processes: their bits as a digest, how finite they are, and a few elements."""

from __future__ import annotations

import hashlib

import numpy as np

from ncgopt.runtime.session import Array, Value

_SKETCH = 64  # elements per output
_CHUNK = 1 << 20  # elements looked at a time


def digest(value: Value) -> bytes:
    """Equal for values of the same types, shapes and bits."""
    found = hashlib.blake2b(digest_size=16)
    for part in _parts(value):
        found.update(f"{part.dtype}{part.shape}".encode())
        if part.dtype == object:
            found.update(repr(part.tolist()).encode())
        elif part.size:
            found.update(np.ascontiguousarray(part).reshape(-1).view(np.uint8).data)
    return found.digest()


def finite(value: Value) -> float:
    """Part of the float elements that is finite; 1 where there are none."""
    floats = [part.reshape(-1) for part in _parts(value) if part.dtype.kind in "fcV" and part.size]
    if not floats:
        return 1.0
    count = sum(_finite(part[start : start + _CHUNK]) for part in floats for start in range(0, part.size, _CHUNK))
    return count / sum(part.size for part in floats)


def sketch(value: Value) -> tuple[float, ...]:
    """Some elements, always the same ones, to see what data changes."""
    numbers = [part.reshape(-1) for part in _parts(value) if part.dtype != object and part.size]
    if not numbers:
        return ()
    chosen = numbers[0][:: max(1, numbers[0].size // _SKETCH)][:_SKETCH]
    return tuple(np.abs(chosen.astype(np.complex128)).tolist() if chosen.dtype.kind == "c" else chosen.astype(float))


def _finite(part: Array) -> int:
    wide = part.astype(np.complex128 if part.dtype.kind == "c" else np.float64)
    return int(np.count_nonzero(np.isfinite(wide)))


def _parts(value: Value) -> list[Array]:
    if isinstance(value, dict):
        return [part for inner in value.values() for part in _parts(inner)]
    if isinstance(value, list):
        return [part for inner in value for part in _parts(inner)]
    if value is None:
        return []
    array: Array = np.asarray(value)
    return [array.astype(object)] if array.dtype.kind in "US" else [array]
