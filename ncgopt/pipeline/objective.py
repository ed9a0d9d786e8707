"""What a result is to be good at: which passes that adds, and what all four goals say about it."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import onnx_ir as ir

from ncgopt.memory.trial import default_binding
from ncgopt.report import Peak
from ncgopt.runtime import Worker, WorkerDied
from ncgopt.runtime.session import LoadError
from ncgopt.settings import Settings

MEMORY = ("split-for-memory", "order-for-memory")
"""Passes that lower the peak of a run, in order."""


def with_objective(settings: Settings) -> Settings:
    """The settings that an objective stands for; those that were given stay.

    Nodes and latency are what every preset is about; latency also has each rewrite measured.
    """
    requested = settings.passes if settings.passes is not None else (settings.preset,)
    match settings.objective:
        case "memory":
            at = tuple(f"{name}={size}" for name, size in settings.verification.bind.items())
            options = {name: {"at": at, **settings.options.get(name, {})} for name in MEMORY}
            return dataclasses.replace(
                settings, passes=(*requested, *MEMORY), options={**settings.options, **options}, objective=None
            )
        case "size":
            return dataclasses.replace(settings, passes=(*requested, "size"), objective=None)
        case "latency" | "nodes" | None:
            return settings


def peak_of(path: Path, graph: ir.Graph, settings: Settings, worker: Worker) -> Peak | None:
    """The peak that is predicted for a file with the inputs of `graph`; None where ONNX Runtime does not take it."""
    binding = default_binding(graph, settings.verification.bind)
    try:
        found = worker.call("ncgopt.memory.trial:of_file", path, binding)
    except (LoadError, WorkerDied):
        return None
    return Peak(found.peak_bytes, found.peak_bytes, binding)
