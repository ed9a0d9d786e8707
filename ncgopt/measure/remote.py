"""The part of a measurement that runs in a child process: one model, loaded as users load it."""

from __future__ import annotations

import gc
import sys
import tempfile
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import onnx

from ncgopt.measure.data import feeds_of
from ncgopt.measure.trace import Kernel, read_trace
from ncgopt.runtime.session import Session, Value, open_session
from ncgopt.runtime.stage import stage
from ncgopt.settings import VerifySettings
from ncgopt.verify.cases import Case
from ncgopt.verify.inputs import Survey

_SIZE = 768  # of the matrices whose product shows what the machine can do
_PEAK_RUNS = 12
_LOADS = 4
_LOAD_SECONDS = 0.5  # spent on loading again, where one load is that quick
_TRACED_BYTES = 1 << 29  # of a model that is written down once more for its nodes' attributes


@dataclass(frozen=True)
class Loaded:
    """What loading and the first run took.

    Attributes:
        loads: seconds of each session creation; the first may have had to read the file from the disk.
        peak: bytes by which memory had grown at most, the first run included; None where nobody can tell.
        first: seconds of the quickest of the first runs.
    """

    loads: tuple[float, ...]
    peak: int | None
    first: float


@dataclass
class _State:
    session: Session | None = None
    feeds: dict[str, Value] = field(default_factory=dict[str, Value])


_state = _State()


def open_model(path: Path, survey: Survey, case: Case, settings: VerifySettings, threads: int) -> Loaded:
    """Load a model and run it; it stays open for `run_block`.

    Args:
        path: the model.
        survey: of the model whose inputs these are; inputs that this one has not are left out.
        case: the inputs.
        settings: custom operators and providers.
        threads: intra-op threads.

    Raises:
        LoadError, RunError: ONNX Runtime cannot load or run it.
    """
    feeds = feeds_of(case, survey)
    _open(
        _model("g (float[1] x) => (float[1] y) { y = Neg(x) }"), settings, threads
    )  # what only the first session of a process takes is no model's
    before = _reset_peak()
    stage(f"loading {path}")
    loads = [_timed_load(path, settings, threads)]
    session = _state.session
    assert session is not None
    _state.feeds = {port.name: feeds[port.name] for port in session.inputs if port.name in feeds}
    stage(f"running {path} ({case})")
    first = min(_run() for _ in range(2))
    peak = _peak()
    while len(loads) < _LOADS and sum(loads) < _LOAD_SECONDS:
        loads.append(_timed_load(path, settings, threads))
    _run()
    return Loaded(tuple(loads), None if peak is None or before is None else max(0, peak - before), first)


def run_block(runs: int) -> tuple[list[float], list[float]]:
    """Seconds of so many runs of the open model, after one that does not count: on the wall, and of this thread."""
    session = _state.session
    assert session is not None
    _run()  # the other model has had the caches meanwhile
    wall: list[float] = []
    own: list[float] = []
    gc.disable()
    try:
        for _ in range(runs):
            start, begun = time.perf_counter(), time.thread_time()
            session.run(_state.feeds)
            own.append(time.thread_time() - begun)
            wall.append(time.perf_counter() - start)
    finally:
        gc.enable()
    return wall, own


def trace(path: Path, survey: Survey, case: Case, settings: VerifySettings, threads: int, runs: int) -> list[Kernel]:
    """Time of every kernel, the median of some runs. Traced runs take longer, by some microseconds per node.

    Raises:
        LoadError, RunError: ONNX Runtime cannot load or run the model.
    """
    stage(f"profiling {path}")
    with tempfile.TemporaryDirectory(prefix="ncgopt-") as folder:
        session = _session(path, settings, threads, Path(folder))
        feeds = feeds_of(case, survey)
        given = {port.name: feeds[port.name] for port in session.inputs if port.name in feeds}
        for _ in range(runs + 1):
            session.run(given)
        written = Path(folder, "optimized.onnx")
        known = written if written.exists() and written.stat().st_size < _TRACED_BYTES else None
        return read_trace(session.end_profile(), known, runs)


def peak_flops(threads: int) -> float:
    """FLOP per second of a large matrix product in ONNX Runtime: the best of some runs."""
    kind = f"float[{_SIZE}, {_SIZE}]"
    session = _session(
        _model(f"g ({kind} a, {kind} b) => ({kind} y) {{ y = MatMul(a, b) }}"), VerifySettings(), threads
    )
    feeds: dict[str, Value] = dict.fromkeys(("a", "b"), np.ones((_SIZE, _SIZE), np.float32))
    times: list[float] = []
    for _ in range(_PEAK_RUNS):
        start = time.perf_counter()
        session.run(feeds)
        times.append(time.perf_counter() - start)
    return 2 * _SIZE**3 / min(times)


def _timed_load(path: Path, settings: VerifySettings, threads: int) -> float:
    _state.session = None
    start = time.perf_counter()
    _open(path, settings, threads)
    return time.perf_counter() - start


def _open(model: Path | bytes, settings: VerifySettings, threads: int) -> None:
    _state.session = _session(model, settings, threads)


def _session(model: Path | bytes, settings: VerifySettings, threads: int, profile: Path | None = None) -> Session:
    return open_session(
        model, optimize=True, custom_ops=settings.custom_ops, providers=settings.providers, threads=threads,
        profile=profile,
    )  # fmt: skip


def _run() -> float:
    session = _state.session
    assert session is not None
    start = time.perf_counter()
    session.run(_state.feeds)
    return time.perf_counter() - start


def _model(text: str) -> bytes:
    model: onnx.ModelProto = onnx.parser.parse_model(f'<ir_version: 8, opset_import: ["" : 13]> {text}')
    return model.SerializeToString()


def _status() -> Mapping[str, str]:
    lines = Path("/proc/self/status").read_text(encoding="utf-8", errors="replace").splitlines()
    return dict(line.split(":", 1) for line in lines if ":" in line)


def _reset_peak() -> int | None:
    """Forget the peak so far; bytes that the process has now. Linux only."""
    if not sys.platform.startswith("linux"):
        return None
    try:
        Path("/proc/self/clear_refs").write_text("5", encoding="ascii")
        return int(_status()["VmRSS"].split()[0]) * 1024
    except (OSError, KeyError):
        return None


def _peak() -> int | None:
    if not sys.platform.startswith("linux"):
        return None
    try:
        return int(_status()["VmHWM"].split()[0]) * 1024
    except (OSError, KeyError):
        return None
