"""What a model takes: parameters, bytes, FLOPs, time."""

from __future__ import annotations

import zlib
from collections.abc import Mapping
from pathlib import Path

import numpy as np

from ncgopt.cost import graph_cost
from ncgopt.facts.nesting import graphs_within
from ncgopt.measure import Effort, compare_latency
from ncgopt.model import load, stats
from ncgopt.prune.calibration import Feeds
from ncgopt.prune.report import Latency, Size
from ncgopt.settings import VerifySettings
from ncgopt.verify.inputs import Survey, TensorType
from ncgopt.verify.userfeeds import save_feeds

_CHUNK = 1 << 22


def size_of(path: Path, binding: Mapping[str, int]) -> Size:
    """Sizes of the model at `path`, its external data included; FLOPs at these sizes of the symbolic dimensions."""
    loaded = load(path)
    found = stats(loaded.model, loaded.file_bytes)
    zeros = 0
    for graph in graphs_within(loaded.model.graph):
        for value in graph.initializers.values():
            tensor = value.const_value
            if tensor is not None and tensor.dtype.is_floating_point():
                zeros += tensor.size - int(np.count_nonzero(np.asarray(tensor.numpy())))
    files = [path] if not loaded.external else [path, *sorted(path.parent.glob(f"{path.name}*.data"))]
    return Size(
        parameters=found.parameters,
        nonzero=found.parameters - zeros,
        weight_bytes=found.weight_bytes,
        file_bytes=found.file_bytes,
        compressed_bytes=sum(_compressed(file) for file in files),
        flops=graph_cost(loaded.model, binding).flops,
    )


def _compressed(path: Path) -> int:
    packer = zlib.compressobj(6)
    total = 0
    with path.open("rb") as file:
        while chunk := file.read(_CHUNK):
            total += len(packer.compress(chunk))
    return total + len(packer.flush())


def binding_of(survey: Survey, feeds: Feeds) -> dict[str, int]:
    """Sizes that the feeds give to the named dimensions of the inputs."""
    found: dict[str, int] = {}
    for given in survey.inputs:
        kind = given.type
        if isinstance(kind, TensorType) and kind.dims is not None and given.name in feeds:
            for dim, size in zip(kind.dims, feeds[given.name].shape, strict=False):
                if isinstance(dim, str):
                    found[dim] = size
    return found


def latency_of(before: Path, after: Path, feeds: Feeds, folder: Path, *, threads: int, seconds: float) -> Latency:
    """Both models on the same feeds, taking turns; raises Inconclusive where one does not run."""
    file = folder / "latency.npz"
    save_feeds(file, feeds)
    effort = Effort(seconds=seconds, processes=2)
    found = compare_latency([before, after], VerifySettings(feeds=(file,)), threads=threads, effort=effort)
    assert found.ratio is not None
    first, second = found.models
    return Latency(
        first.p50, second.p50, found.ratio.value, found.ratio.low, found.ratio.high, found.verdict, threads, first.runs
    )
