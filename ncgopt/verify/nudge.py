"""A copy of a model whose weights are rounded differently, to see how much their rounding matters."""

from __future__ import annotations

import math
from collections.abc import Iterator
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
import onnx

from ncgopt.runtime.session import Array
from ncgopt.verify.graph import nodes_of, subgraphs
from ncgopt.verify.outline import Outline, put_outside, read_outline, tensors_of

# onnx ships no complete type stubs: the messages are handled as Any from here on.
_helper: Any = onnx.numpy_helper
_TensorProto: Any = onnx.TensorProto

_WEIGHTS = {_TensorProto.FLOAT, _TensorProto.FLOAT16, _TensorProto.DOUBLE, _TensorProto.BFLOAT16}
_PARAMETERS = 16  # a float tensor up to this size may be a scale, an epsilon or a size that has to be exact
_EMBEDDED = 1024  # bytes; larger weights are written beside the copy, as they come
_ALIGNMENT = 4096  # so that the file can be mapped
_ONE_IN = 12  # weights moved
_LIMIT = 2_000_000_000  # bytes; what a protobuf message can hold
_CHUNK = 1 << 20  # elements moved at a time


def write_nudged(source: Path, folder: Path, seed: int) -> Path | None:
    """Write a copy of a model with its float weights moved, see `nudged`; its own data go to `folder`.

    Moved are float32, float16, float64 and bfloat16 initializers and `Constant` tensors of rank 1 and
    more with more than 16 elements, in all graphs and local functions. Sparse ones stay.

    Args:
        source: the model; its external data are found beside it.
        folder: an empty folder for the copy.
        seed: makes it reproducible.

    Returns:
        The copy; None for a model of more than 2 GB, external data included.

    Raises:
        OSError, InputUnreadable: a file cannot be read or written.
    """
    outline = read_outline(source)
    model = outline.proto
    initializers = list(_initializers(model.graph))
    if outline.file.size + sum(_external_bytes(tensor) for tensor in (*initializers, *_constants(model))) > _LIMIT:
        return None
    rng = np.random.default_rng(seed)
    copy = folder / "model.onnx"
    with (folder / "weights").open("wb") as data:
        for tensor in initializers:
            if _bytes(outline, tensor) > _EMBEDDED:
                _put_out(outline, tensor, data, rng)
            else:
                _embed(outline, tensor, rng)
    for tensor in _constants(model):
        _embed(outline, tensor, rng)
    for tensor in tensors_of(model):
        outline.fill(tensor)
    copy.write_bytes(model.SerializeToString())
    return copy


def nudged(weights: Array, rng: np.random.Generator) -> Array:
    """The same floats, one in twelve of them moved by one unit in the last place up or down, at random.

    One in twelve, since rounding once errs by up to half a unit, evenly spread: a variance of 1/12,
    and so has this. What the outputs of a model move by follows the variance of many such errors.
    Zeros, infinities and NaN stay what they are: no rounding makes them.
    """
    moved = np.empty(weights.shape, weights.dtype)
    target, at = moved.reshape(-1), 0
    for piece in _pieces(weights, rng):
        target[at : at + piece.size] = piece
        at += piece.size
    return moved


def _pieces(weights: Array, rng: np.random.Generator) -> Iterator[Array]:
    """The moved weights, flat, a piece at a time."""
    whole = np.dtype(f"u{weights.dtype.itemsize}")
    flat = np.ascontiguousarray(weights).reshape(-1)
    for start in range(0, flat.size, _CHUNK):
        before = flat[start : start + _CHUNK]
        chosen = rng.integers(0, 2 * _ONE_IN, before.size, dtype=np.int8)
        steps = ((chosen == 0).astype(np.int8) - (chosen == 1)).astype(whole)  # -1 wraps around, as it must
        after = (before.view(whole) + steps).view(weights.dtype)
        stays = (before == 0) | ~np.isfinite(before) | ~np.isfinite(after)
        yield np.where(stays, before, after)


def _is_weight(tensor: Any) -> bool:
    return tensor.data_type in _WEIGHTS and bool(tensor.dims) and math.prod(tensor.dims) > _PARAMETERS


def _bytes(outline: Outline, tensor: Any) -> int:
    """Bytes of a tensor as raw data; 0 where the message holds them in a field of their own type, and they stay."""
    place = outline.place(tensor)
    if place is not None:
        return place[1]
    return _external_bytes(tensor) or len(tensor.raw_data) or (_is_weight(tensor) and _in_memory(tensor))


def _put_out(outline: Outline, tensor: Any, data: BinaryIO, rng: np.random.Generator) -> None:
    """Write what a tensor holds, moved if it is a weight, into the file of external data."""
    data.write(b"\0" * (-data.tell() % _ALIGNMENT))
    offset = data.tell()
    if _is_weight(tensor):
        for piece in _pieces(outline.array(tensor), rng):
            data.write(piece.view(np.uint8).data)
    else:
        for content in outline.raw(tensor):
            data.write(content)
    for name in ("float_data", "int32_data", "double_data"):
        tensor.ClearField(name)
    put_outside(tensor, Path(data.name).name, offset, data.tell() - offset)


def _embed(outline: Outline, tensor: Any, rng: np.random.Generator) -> None:
    """Put what a tensor holds into the message, moved if it is a weight."""
    if _is_weight(tensor):
        tensor.CopyFrom(_helper.from_array(nudged(outline.array(tensor), rng), tensor.name))
    elif tensor.data_location == _TensorProto.EXTERNAL:
        tensor.raw_data = b"".join(bytes(content) for content in outline.raw(tensor))
        tensor.ClearField("external_data")
        tensor.data_location = _TensorProto.DEFAULT


def _external_bytes(tensor: Any) -> int:
    if tensor.data_location != _TensorProto.EXTERNAL:
        return 0
    return _in_memory(tensor)


def _in_memory(tensor: Any) -> int:
    return math.prod(tensor.dims) * int(onnx.helper.tensor_dtype_to_np_dtype(tensor.data_type).itemsize)


def _initializers(graph: Any) -> Iterator[Any]:
    """Those of a graph and of the subgraphs in it."""
    yield from graph.initializer
    for node in graph.node:
        for inner in subgraphs(node):
            yield from _initializers(inner)


def _constants(model: Any) -> Iterator[Any]:
    """Tensors of `Constant` nodes, in local functions too."""
    for graph in (model.graph, *model.functions):
        for node in nodes_of(graph):
            for found in node.attribute if node.op_type == "Constant" else ():
                if found.HasField("t"):
                    yield found.t
