"""Sensitivity without pruning anything: which layers or channels cost what."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Callable
from pathlib import Path

from ncgopt.prune.pruner import Pruner
from ncgopt.prune.sensitivity import Sensitivity, sweep
from ncgopt.prune.settings import PruneSettings
from ncgopt.runtime.process import Worker


def analyze(
    model: str | os.PathLike[str], settings: PruneSettings, *, progress: Callable[[str], None] | None = None
) -> list[Sensitivity]:
    """Prune each layer (or group of channels) alone by several shares, and measure. Nothing is written.

    Args:
        model: an ONNX file.
        settings: method, pattern, data and metric, as for `prune`.
        progress: called with one line whenever something begins.

    Raises:
        NcgoptError: as `ncgopt.prune.run.prune`.
    """
    with tempfile.TemporaryDirectory(prefix="ncgopt-") as folder, Worker() as worker:
        return sweep(Pruner(Path(model), settings, worker, Path(folder), progress or (lambda _: None)), settings)
