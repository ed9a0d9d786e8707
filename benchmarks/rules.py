"""What each rewrite gains by itself: `make bench-rules`, or `python benchmarks/rules.py [NAME ...] [--threads N]`.

Every pattern is a small model of realistic sizes. It is optimized with the default preset, and both are
timed in ONNX Runtime with all of its own optimizations on, so that only what the runtime does not do for
itself counts: one thread by default, no spinning, runs interleaved, medians. A pattern whose rule did not
fire is an error; one that loses is marked.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
import onnx
import onnxruntime as ort
from patterns import PATTERNS, Pattern

import ncgopt
from ncgopt.settings import Settings, Target

_LOSS = 0.95  # what differs by less is noise


def main() -> int:
    """Measure and print one line per pattern; 1 if a rule did not fire or made its pattern slower."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("names", nargs="*", help="rules, or parts of their names; all by default")
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--seconds", type=float, default=1.0, help="time for each pattern")
    options = parser.parse_args()
    chosen = [p for p in PATTERNS if not options.names or any(n in p.rule or n in p.title for n in options.names)]
    print(f"{'pattern':58} {'rule':40} {'gain':>7} {'claimed':>8}")
    failures = 0
    for pattern in chosen:
        gain = measure(pattern, options.threads, options.seconds)
        note = "" if gain is not None and gain >= _LOSS else "  did not fire" if gain is None else "  slower"
        shown = "" if gain is None else f"{gain:.2f}"
        print(f"{pattern.title:58} {pattern.rule:40} {shown:>7} {pattern.claimed:>8}{note}", flush=True)
        failures += bool(note)
    print(f"{len(chosen)} patterns, {failures} that did not fire or lose")
    return bool(failures)


def measure(pattern: Pattern, threads: int, seconds: float) -> float | None:
    """Time of the pattern over that of what it becomes; None where its rule did not fire."""
    with tempfile.TemporaryDirectory() as folder:
        before, after = Path(folder, "before.onnx"), Path(folder, "after.onnx")
        onnx.save(pattern.model(), before)
        settings = Settings(target=Target.ONNXRUNTIME, verify=False)
        report = ncgopt.optimize(before, settings, output=after)
        if pattern.rule not in {rewrite.source for rewrite in report.rewrites}:
            return None
        sessions = [_session(path, threads) for path in (before, after)]
    feeds = pattern.feeds()
    times: list[list[float]] = [[], []]
    for session in sessions:
        session.run(None, feeds)
    clock = time.thread_time if threads == 1 else time.perf_counter
    end = time.perf_counter() + seconds
    while time.perf_counter() < end or len(times[0]) < 5:
        for session, taken in zip(sessions, times, strict=True):
            start = clock()
            session.run(None, feeds)
            taken.append(clock() - start)
    return float(np.median(times[0]) / np.median(times[1]))


def _session(path: Path, threads: int) -> ort.InferenceSession:
    options = ort.SessionOptions()
    options.intra_op_num_threads = threads
    options.log_severity_level = 3
    options.add_session_config_entry("session.intra_op.allow_spinning", "0")
    return ort.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])


if __name__ == "__main__":
    sys.exit(main())
