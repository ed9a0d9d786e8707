"""Runs a static graph in the child process, where a crash takes nobody along."""

from __future__ import annotations

import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy.typing as npt

from ncgopt.runtime.session import Value, open_session


def run(model: Path, feeds: Mapping[str, npt.NDArray[Any]]) -> tuple[list[str], list[Value]]:
    """Names and values of all outputs, as users get them: with all of ONNX Runtime's optimizations.

    Inputs that the model has not are left out.
    """
    session = open_session(model, optimize=True)
    wanted = {port.name for port in session.inputs}
    outputs = session.run({name: array for name, array in feeds.items() if name in wanted})
    return [port.name for port in session.outputs], outputs


def latencies(models: list[Path], feeds: Mapping[str, npt.NDArray[Any]], seconds: float) -> list[float]:
    """The median seconds of a run of each model, with one thread, the models taking turns."""
    sessions = [open_session(model, optimize=True) for model in models]
    given = [{port.name: feeds[port.name] for port in session.inputs} for session in sessions]
    times: list[list[float]] = [[] for _ in models]
    end = time.perf_counter() + seconds
    while time.perf_counter() < end or len(times[-1]) < 5:
        for session, fed, taken in zip(sessions, given, times, strict=True):
            start = time.perf_counter()
            session.run(fed)
            taken.append(time.perf_counter() - start)
    return [sorted(taken)[len(taken) // 2] for taken in times]
