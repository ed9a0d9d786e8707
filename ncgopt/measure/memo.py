"""Windows that were measured before, in the user's cache folder.

An entry is found by what a time depends on: operators, attributes, opsets, how the nodes hang together, element types
and shapes of what goes in and of constants (with the contents of small ones, which are sizes and axes), threads,
ONNX Runtime's version, the processor. Names are none of it, so the twelve layers of a transformer are measured once.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from importlib.metadata import version
from typing import cast

import numpy as np

from ncgopt import cache
from ncgopt.measure.ratio import Ratio
from ncgopt.runtime.machine import processor
from ncgopt.runtime.session import Value
from ncgopt.verify.windows.cut import Window
from ncgopt.verify.windows.piece import Piece
from ncgopt.verify.windows.side import inputs_of

_SUBJECT = "measure"
_ENTRIES = 20_000
_SMALL = 128  # bytes
_FORMAT = "1"  # of entries and of how they come about; another one finds none of the old


def key_of(window: Window, values: Mapping[str, Value], threads: int) -> str:
    """The name of the entry for a window that runs on such values."""
    digest = hashlib.sha256()
    for part in (_FORMAT, version("onnxruntime"), processor(), str(threads)):
        digest.update(part.encode() + b"\n")
    for piece in (window.original, window.result):
        for part in _parts(piece, values):
            digest.update(part + b"\n")
    return digest.hexdigest()


def look_up(key: str) -> Ratio | None:
    """What was measured before."""
    found = cache.look_up(_SUBJECT, key)
    if not isinstance(found, list):
        return None
    numbers = cast("list[object]", found)
    if len(numbers) != 4 or not all(isinstance(number, int | float) for number in numbers):
        return None
    value, low, high, pairs = cast("list[float]", numbers)
    return Ratio(float(value), float(low), float(high), int(pairs))


def note(key: str, ratio: Ratio) -> None:
    """Keep what was measured."""
    cache.note(_SUBJECT, key, [ratio.value, ratio.low, ratio.high, ratio.pairs], _ENTRIES)


def _parts(piece: Piece, values: Mapping[str, Value]) -> list[bytes]:
    side = piece.side
    numbers: dict[str, int] = {}

    def number(name: str) -> int:
        return numbers.setdefault(name, len(numbers))

    parts = [repr(sorted(side.model.graph.opset_imports.items())).encode()]
    for node in piece.nodes:
        links = [number(value.name or "") for value in inputs_of(node)]
        links += [number(value.name or "") for value in node.outputs]
        parts.append(repr((node.domain, node.op_type, links)).encode() + side.text(node))
    for name in piece.inputs:
        parts.append(repr((number(name), _kind(values[name]))).encode())
    for name in piece.constants:
        tensor = side.tensor(side.values[name])
        assert tensor is not None
        content = tensor.numpy().tobytes() if tensor.nbytes <= _SMALL else b""
        parts.append(repr((number(name), tensor.dtype.name, list(tensor.shape))).encode() + content)
    parts.append(repr([number(name) for name in piece.outputs]).encode())
    return parts


def _kind(value: Value) -> object:
    if isinstance(value, np.ndarray):
        return value.dtype.name, value.shape
    return [_kind(part) for part in value] if isinstance(value, list) else type(value).__name__
