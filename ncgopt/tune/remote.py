"""The part of tuning that runs in a child process: one session, and blocks of requests to it."""

from __future__ import annotations

import gc
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path

from ncgopt.measure.data import feeds_of
from ncgopt.runtime.session import Session, Value, open_session
from ncgopt.runtime.stage import stage
from ncgopt.runtime.tuned import SessionSettings
from ncgopt.settings import VerifySettings
from ncgopt.verify.cases import Case
from ncgopt.verify.inputs import Survey


@dataclass
class _State:
    session: Session | None = None
    feeds: dict[str, Value] = field(default_factory=dict[str, Value])
    streams: ThreadPoolExecutor | None = None
    count: int = 1


_state = _State()


def open_tuned(
    path: Path, survey: Survey, case: Case, settings: VerifySettings, tuned: SessionSettings, streams: int
) -> tuple[float, float]:
    """Load a model; seconds that this took, and of the quickest of three runs.

    Args:
        path: the model.
        survey: of it.
        case: the inputs.
        settings: custom operators and providers.
        tuned: of the session.
        streams: requests at once in `run_block`.

    Raises:
        LoadError, RunError: ONNX Runtime cannot load or run it.
    """
    feeds = feeds_of(case, survey)
    stage(f"loading {path}")
    start = time.perf_counter()
    session = open_session(
        path, optimize=True, custom_ops=settings.custom_ops, providers=settings.providers, tuned=tuned
    )
    took = time.perf_counter() - start
    _state.session, _state.count = session, streams
    _state.feeds = {port.name: feeds[port.name] for port in session.inputs if port.name in feeds}
    _state.streams = ThreadPoolExecutor(streams) if streams > 1 else None
    stage(f"running {path} ({case})")
    return took, min(_timed(session) for _ in range(3))


def run_block(runs: int) -> tuple[float, list[float]]:
    """`runs` requests of every stream, all at once: seconds of them all, and of each."""
    session = _state.session
    assert session is not None
    _requests(session, 1)  # the other session has had the caches meanwhile
    gc.disable()
    try:
        start = time.perf_counter()
        if _state.streams is None:
            latencies = _requests(session, runs)
        else:
            waiting = [_state.streams.submit(_requests, session, runs) for _ in range(_state.count)]
            latencies = [seconds for stream in waiting for seconds in stream.result()]
        return time.perf_counter() - start, latencies
    finally:
        gc.enable()


def _requests(session: Session, runs: int) -> list[float]:
    return [_timed(session) for _ in range(runs)]


def _timed(session: Session) -> float:
    start = time.perf_counter()
    session.run(_state.feeds)
    return time.perf_counter() - start
