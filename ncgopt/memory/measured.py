"""What a run really takes, in a child process."""

from __future__ import annotations

import ctypes
import sys
from pathlib import Path

from ncgopt.errors import Unavailable
from ncgopt.measure.data import feeds_of
from ncgopt.runtime.session import open_session
from ncgopt.runtime.stage import stage
from ncgopt.settings import VerifySettings
from ncgopt.verify.cases import Case
from ncgopt.verify.inputs import Survey

_RUNS = 3
# glibc's mallopt: what is larger is mapped by itself and given back at once, so that memory shows it.
_MALLOC = {-3: 1 << 16, -1: 1 << 16, -2: 0, -8: 1}  # M_MMAP_THRESHOLD, M_TRIM_THRESHOLD, M_TOP_PAD, M_ARENA_MAX
_RESET_PEAK = "5"


def peak_of_a_run(model: Path, survey: Survey, case: Case, settings: VerifySettings) -> int:
    """Bytes by which memory grows at most during a run, outputs included; inputs and weights are there before.

    The second run and later ones count, the one that takes least: the first one also initializes. Without
    ONNX Runtime's arena, which keeps and rounds up; one thread.

    Raises:
        LoadError, RunError: ONNX Runtime cannot load or run the model.
        Unavailable: this system does not tell.
    """
    if not sys.platform.startswith("linux"):
        raise Unavailable("the peak of a run is measured on Linux only, in /proc")
    libc = ctypes.CDLL(None)
    for option, number in _MALLOC.items():
        libc.mallopt(option, number)
    session = open_session(
        model, optimize=True, custom_ops=settings.custom_ops, providers=settings.providers, arena=False
    )
    feeds = feeds_of(case, survey)
    given = {port.name: feeds[port.name] for port in session.inputs if port.name in feeds}
    stage(f"running ({case})")
    session.run(given)
    grown: list[int] = []
    for _ in range(_RUNS):
        libc.malloc_trim(0)  # else what was freed before would be taken again, and not show
        Path("/proc/self/clear_refs").write_text(_RESET_PEAK, encoding="ascii")
        before = _status("VmRSS")
        session.run(given)
        grown.append(_status("VmHWM") - before)
    return max(0, min(grown))


def _status(name: str) -> int:
    text = Path("/proc/self/status").read_text(encoding="utf-8", errors="replace")
    line = next(line for line in text.splitlines() if line.startswith(f"{name}:"))
    return int(line.split()[1]) * 1024
