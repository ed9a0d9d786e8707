"""Weights as `sparse_initializer`, where that is smaller and ONNX Runtime takes it."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import onnx
from onnx import numpy_helper

from ncgopt.errors import Usage
from ncgopt.runtime.process import Worker, WorkerDied
from ncgopt.runtime.session import OrtError, open_session

_INDEX_BYTES = 8
_LARGEST = 1 << 30


def store_sparse(path: Path, output: Path, worker: Worker) -> tuple[Path, str]:
    """A copy of the model with sparse weights, and what to say about it; `path` itself where that gains nothing.

    A sparse tensor takes its values and an int64 index for each (coordinate format, indices into the flattened tensor).
    ONNX Runtime makes it dense again on loading, so only the file gets smaller.

    Raises:
        Usage: the model has external data, which sparse tensors cannot have in ONNX Runtime.
    """
    if path.stat().st_size > _LARGEST or any(path.parent.glob(f"{path.name}*.data")):
        raise Usage("prune: --sparse-storage needs a model in one file of less than 1 GiB")
    model = onnx.load_model_from_string(path.read_bytes())
    count, saved = _convert(model.graph)
    if not count:
        return path, "no weight is sparse enough for sparse storage to make the file smaller"
    output.write_bytes(model.SerializeToString(deterministic=True))
    try:
        worker.call("ncgopt.prune.sparse:loads", output)
    except (OrtError, WorkerDied) as error:
        return path, f"stored dense, because this ONNX Runtime does not take sparse weights: {error}"
    return output, f"{count} weights stored sparse, {saved} bytes less"


def loads(path: Path) -> None:
    """Run in the child: raises OrtError where ONNX Runtime does not take the model."""
    open_session(path, optimize=True)


def _convert(graph: onnx.GraphProto) -> tuple[int, int]:
    count = saved = 0
    inputs = {value.name for value in graph.input}
    for tensor in list(graph.initializer):
        if tensor.data_type not in (onnx.TensorProto.FLOAT, onnx.TensorProto.DOUBLE) or tensor.name in inputs:
            continue
        array = numpy_helper.to_array(tensor)
        places = np.flatnonzero(array)
        less = array.nbytes - len(places) * (array.itemsize + _INDEX_BYTES)
        if array.ndim < 2 or less <= 0 or not len(places):
            continue
        sparse = graph.sparse_initializer.add()
        sparse.dims.extend(array.shape)
        sparse.values.CopyFrom(numpy_helper.from_array(array.reshape(-1)[places], tensor.name))
        sparse.indices.CopyFrom(numpy_helper.from_array(places.astype(np.int64), f"{tensor.name}_indices"))
        graph.initializer.remove(tensor)
        count, saved = count + 1, saved + less
    return count, saved
