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

# onnx ships no complete type stubs: the messages are handled as Any from here on.
_onnx: Any = onnx
_helper: Any = onnx.numpy_helper
_TensorProto: Any = onnx.TensorProto

_WEIGHTS = {_TensorProto.FLOAT, _TensorProto.FLOAT16, _TensorProto.DOUBLE, _TensorProto.BFLOAT16}
_PARAMETERS = 16  # a float tensor up to this size may be a scale, an epsilon or a size that has to be exact
_EMBEDDED = 1024  # bytes; larger weights are written beside the copy, as they come
_ALIGNMENT = 64
_ONE_IN = 12  # weights moved
_LIMIT = 2_000_000_000  # bytes; what a protobuf message can hold
_CHUNK = 1 << 22  # elements moved at a time


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
        OSError: a file cannot be read or written.
    """
    if source.stat().st_size > _LIMIT:
        return None
    model = _onnx.load_model(source, load_external_data=False)
    tensors = [*_initializers(model.graph), *_constants(model)]
    if source.stat().st_size + sum(_external_bytes(tensor) for tensor in tensors) > _LIMIT:
        return None
    rng = np.random.default_rng(seed)
    for tensor in tensors:
        _move(tensor, source.parent, rng)
    copy = folder / "model.onnx"
    with (folder / "weights").open("wb") as data:
        for tensor in _initializers(model.graph):
            if len(tensor.raw_data) > _EMBEDDED:
                _put_out(tensor, data)
    copy.write_bytes(model.SerializeToString())
    return copy


def nudged(weights: Array, rng: np.random.Generator) -> Array:
    """The same floats, one in twelve of them moved by one unit in the last place up or down, at random.

    One in twelve, since rounding once errs by up to half a unit, evenly spread: a variance of 1/12,
    and so has this. What the outputs of a model move by follows the variance of many such errors.
    Zeros, infinities and NaN stay what they are: no rounding makes them.
    """
    moved = np.empty(weights.shape, weights.dtype)
    whole = np.dtype(f"u{weights.dtype.itemsize}")
    flat, target = np.ascontiguousarray(weights).reshape(-1), moved.reshape(-1)
    for start in range(0, flat.size, _CHUNK):
        before = flat[start : start + _CHUNK]
        chosen = rng.integers(0, 2 * _ONE_IN, before.size, dtype=np.int8)
        steps = ((chosen == 0).astype(np.int8) - (chosen == 1)).astype(whole)  # -1 wraps around, as it must
        after = (before.view(whole) + steps).view(weights.dtype)
        stays = (before == 0) | ~np.isfinite(before) | ~np.isfinite(after)
        target[start : start + _CHUNK] = np.where(stays, before, after)
    return moved


def _move(tensor: Any, base: Path, rng: np.random.Generator) -> None:
    """Bring external data in, and move what is a weight."""
    if tensor.data_location == _TensorProto.EXTERNAL:
        place = {entry.key: entry.value for entry in tensor.external_data}
        with (base / place["location"]).open("rb") as data:
            data.seek(int(place.get("offset", 0)))
            tensor.raw_data = data.read(int(place.get("length", 0)) or _external_bytes(tensor))
        tensor.ClearField("external_data")
        tensor.data_location = _TensorProto.DEFAULT
    if tensor.data_type in _WEIGHTS and tensor.dims and math.prod(tensor.dims) > _PARAMETERS:
        moved = _helper.from_array(nudged(_helper.to_array(tensor), rng), tensor.name)
        tensor.CopyFrom(moved)


def _put_out(tensor: Any, data: BinaryIO) -> None:
    """Move a tensor's bytes into the file of external data."""
    data.write(b"\0" * (-data.tell() % _ALIGNMENT))
    place = {"location": Path(data.name).name, "offset": str(data.tell()), "length": str(len(tensor.raw_data))}
    data.write(tensor.raw_data)
    tensor.ClearField("raw_data")
    tensor.data_location = _TensorProto.EXTERNAL
    for key, value in place.items():
        tensor.external_data.add(key=key, value=value)


def _external_bytes(tensor: Any) -> int:
    if tensor.data_location != _TensorProto.EXTERNAL:
        return 0
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
