"""Settings of an ONNX Runtime session, apart from what it computes with."""

from __future__ import annotations

import dataclasses
import importlib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

_MOST_THREADS = 1 << 16  # beyond that, a file is damaged: ONNX Runtime would begin so many
Optimization = Literal["all", "extended", "basic", "disable"]

_LEVELS: Mapping[str, tuple[str, int]] = {
    "all": ("ORT_ENABLE_ALL", 99),
    "extended": ("ORT_ENABLE_EXTENDED", 2),
    "basic": ("ORT_ENABLE_BASIC", 1),
    "disable": ("ORT_DISABLE_ALL", 0),
}


@dataclass(frozen=True)
class SessionSettings:
    """Settings that change how fast a model runs, and not what it computes; the defaults are ONNX Runtime's own.

    Attributes:
        intra_op_threads: threads within a node; 0 for one per physical core.
        inter_op_threads: threads between nodes where they run in parallel; 0 for one per physical core.
        parallel: whether nodes that do not need each other may run at the same time.
        spinning: whether threads that wait for work keep their processor busy for a while.
        arena: whether freed memory is kept for the next run.
        memory_pattern: whether the memory of a run is planned from earlier runs with the same sizes.
        prepacking: whether kernels keep copies of weights in a form that suits them.
        optimization: how far ONNX Runtime rewrites the graph.
        flush_denormals: whether numbers below the smallest normal one count as zero. It changes results: by less
            than 1e-37 where they are numbers of that size only.
    """

    intra_op_threads: int = 0
    inter_op_threads: int = 0
    parallel: bool = False
    spinning: bool = True
    arena: bool = True
    memory_pattern: bool = True
    prepacking: bool = True
    optimization: Optimization = "all"
    flush_denormals: bool = False

    def apply(self, options: Any) -> None:
        """Write them into an `onnxruntime.SessionOptions`."""
        ort: Any = importlib.import_module("onnxruntime")
        options.intra_op_num_threads = self.intra_op_threads
        options.inter_op_num_threads = self.inter_op_threads
        mode = ort.ExecutionMode
        options.execution_mode = mode.ORT_PARALLEL if self.parallel else mode.ORT_SEQUENTIAL
        options.enable_cpu_mem_arena = self.arena
        options.enable_mem_pattern = self.memory_pattern
        options.graph_optimization_level = getattr(ort.GraphOptimizationLevel, _LEVELS[self.optimization][0])
        for place in ("intra_op", "inter_op"):
            options.add_session_config_entry(f"session.{place}.allow_spinning", "1" if self.spinning else "0")
        options.add_session_config_entry("session.disable_prepacking", "0" if self.prepacking else "1")
        options.add_session_config_entry("session.set_denormal_as_zero", "1" if self.flush_denormals else "0")

    def changes(self) -> dict[str, Any]:
        """Those that are not ONNX Runtime's own."""
        default = SessionSettings()
        return {name: value for name, value in vars(self).items() if value != getattr(default, name)}

    def as_ort_config(self) -> str:
        """The value of a model's metadata `ort_config`, which knows threads, mode and optimization only.

        ONNX Runtime reads it where the environment says `ORT_LOAD_CONFIG_FROM_MODEL=1`; all other settings of the
        session are then its defaults.
        """
        settings = {
            "intra_op_num_threads": self.intra_op_threads,
            "inter_op_num_threads": self.inter_op_threads,
            "execution_mode": int(self.parallel),
            "graph_optimization_level": _LEVELS[self.optimization][1],
        }
        return json.dumps({"session_options": settings})


def settings_from(entry: Mapping[str, Any]) -> SessionSettings:
    """Settings as `dataclasses.asdict` wrote them.

    Raises:
        ValueError: a setting that there is not, or a value that it cannot have.
    """
    known = {field.name: getattr(SessionSettings(), field.name) for field in dataclasses.fields(SessionSettings)}
    for name, value in entry.items():
        if name not in known:
            raise ValueError(f"unknown setting {name!r}")
        if type(value) is not type(known[name]) or (type(value) is int and not 0 <= value <= _MOST_THREADS):
            raise ValueError(f"{name} cannot be {value!r}")
        if name == "optimization" and value not in _LEVELS:
            raise ValueError(f"{name} cannot be {value!r}")
    return SessionSettings(**entry)
