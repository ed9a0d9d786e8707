"""A window before and after the steps of a search, run in ONNX Runtime. Runs in the child process."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import numpy as np
import onnx

from ncgopt.measure.race import race
from ncgopt.measure.ratio import Ratio
from ncgopt.runtime.session import Value, open_session
from ncgopt.runtime.stage import stage
from ncgopt.settings import VerifySettings

_SECONDS = 1.0


def race_windows(
    before: Path, after: Path, shapes: Mapping[str, tuple[int, ...]], settings: VerifySettings, threads: int
) -> Ratio:
    """Time of the one over time of the other, on normal floats; integers are 0 and conditions true.

    Raises:
        LoadError, RunError: ONNX Runtime does not take one of them, or not such data.
    """
    stage("measuring what the search found")
    sessions = [
        open_session(path, optimize=True, custom_ops=settings.custom_ops, providers=settings.providers, threads=threads)
        for path in (before, after)
    ]
    kinds = {
        value.name: onnx.helper.tensor_dtype_to_np_dtype(value.type.tensor_type.elem_type)
        for value in onnx.ModelProto.FromString(before.read_bytes()).graph.input
    }
    feeds = {name: _data(shape, kinds[name]) for name, shape in shapes.items()}
    given = [{port.name: feeds[port.name] for port in session.inputs} for session in sessions]
    return race(lambda: sessions[0].run(given[0]), lambda: sessions[1].run(given[1]), _SECONDS, threads)


def _data(shape: tuple[int, ...], kind: np.dtype[np.generic]) -> Value:
    if kind == np.bool_:
        return np.ones(shape, kind)
    if kind.kind in "iu":
        return np.zeros(shape, kind)
    return np.random.default_rng(0).standard_normal(shape).astype(kind)
