"""How exact rewritten parts are: their error against float64, beside the original's.

    python benchmarks/errors.py INDEX --results build/errors.json
    python benchmarks/errors.py FOLDER_WITH_MODELS --only '*silero*'

INDEX is as for `latency.py`. Every model is optimized; original and result are cut into windows between values that
both have under one name, as `--verify-mode window` does, and every window that was rewritten is computed three times
on what the original computes there: by the original's nodes and by the result's in ONNX Runtime (with all of its
optimizations, as users run both), and by the original's in float64. Per window, the error of the result is divided by
the error of the original, for the largest element and for the root of the mean square; a window where both are exact
counts as 1, one where only the original is counts as 100 times worse.

The table says per model how many windows have a reference, which share of them is within 1.25, and the mean of the
ratios (and their median, since a single exact original makes a mean large).
"""

from __future__ import annotations

import argparse
import json
import math
import statistics
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from latency import corpus, matches

import ncgopt
from ncgopt.errors import NcgoptError
from ncgopt.facts.determinism import is_deterministic
from ncgopt.measure.data import feeds_of
from ncgopt.measure.latency import inputs_of
from ncgopt.runtime.session import OrtError, Value
from ncgopt.settings import Settings, Target, VerifySettings
from ncgopt.verify.precise import NoReference, run_precisely
from ncgopt.verify.windows.cut import Cutter, Window
from ncgopt.verify.windows.piece import RunningPiece
from ncgopt.verify.windows.side import Side
from ncgopt.verify.windows.stream import Stream

LIMIT = 1.25
SECONDS = 20.0  # for the reference of a window
BYTES = 1 << 29  # of a window's weights
WORST = 100.0  # what counts for a window where only the original is exact


def main() -> int:
    """Compute what is missing, print the table; 1 where the share within the limit is below 95 %."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("corpus", type=Path)
    parser.add_argument("--results", type=Path, help="JSON to go on from and to write to")
    parser.add_argument("--only", default="", help="names or groups, globs, comma separated")
    parser.add_argument("--target", choices=[target.value for target in Target], default="onnxruntime")
    parser.add_argument("--minutes", type=float, default=math.inf, help="after which no model begins")
    parser.add_argument("--windows", action="store_true", help="print every window beyond the limit")
    options = parser.parse_args()
    known: dict[str, Any] = {}
    if options.results and options.results.exists():
        known = json.loads(options.results.read_text())
    end = time.monotonic() + 60 * options.minutes
    entries = [e for e in corpus(options.corpus) if not options.only or matches(e, options.only.split(","))]
    print(
        f"{'model':28} {'windows':>8} {'max<=1.25':>9} {'rms<=1.25':>9} {'mean max':>9} {'mean rms':>9} {'median':>7}"
    )
    for entry in entries:
        if entry["name"] not in known and time.monotonic() < end:
            try:
                known[entry["name"]] = {"windows": windows_of(entry, Target(options.target))}
            except NcgoptError as error:
                known[entry["name"]] = {"windows": [], "error": str(error)}
            if options.results:
                options.results.write_text(json.dumps(known, indent=1))
        if entry["name"] in known:
            found = known[entry["name"]]
            print(line(entry["name"], found["windows"], found.get("error", "")), flush=True)
            if options.windows:
                print("".join(f"    {w}\n" for w in found["windows"] if max(w["max"], w["rms"]) > LIMIT), end="")
    everything = [w for e in entries for w in known.get(e["name"], {"windows": []})["windows"]]
    print(line("all", everything, ""))
    return bool(everything) and within(everything, "max") < 0.95


def windows_of(entry: dict[str, Any], target: Target) -> list[dict[str, Any]]:
    """Per rewritten window with a reference: its first value, and the two ratios."""
    with tempfile.TemporaryDirectory() as folder:
        result = Path(folder, "result.onnx")
        ncgopt.optimize(entry["file"], Settings(target=target, verify=False), output=result)
        cutter = Cutter(Side.load(entry["file"]), Side.load(result))
        settings = VerifySettings(feeds=tuple(entry["input_npz"][:1]))
        survey, case = inputs_of(entry["file"], settings)
        windows = [w for w in cutter.windows()[0] if w.bytes <= BYTES and all(map(is_deterministic, w.original.nodes))]
        names = {name for window in windows for name in window.frontier}
        stream = Stream(cutter.original, settings.piece_bytes, settings)
        values = stream.values([feeds_of(case, survey)], names)[0]
        return [found for window in windows if (found := compared(window, values, settings)) is not None]


def compared(window: Window, values: dict[str, Value], settings: VerifySettings) -> dict[str, Any] | None:
    """The ratios of the worst target; None without a reference, or where nothing is float."""
    given = {name: values[name] for name in window.frontier}
    try:
        until = time.monotonic() + SECONDS
        right = run_precisely(window.original.side, window.original.nodes, given, window.targets, until=until)
        old, new = (
            RunningPiece(piece, settings, optimize=True).run({name: given[name] for name in piece.inputs})
            for piece in (window.original, window.result)
        )
    except (NoReference, OrtError):
        return None
    ratios = [r for name in window.targets if (r := ratio(right[name], old[name], new[name])) is not None]
    if not ratios:
        return None
    return {"value": window.targets[0], "max": max(r[0] for r in ratios), "rms": max(r[1] for r in ratios)}


def ratio(right: Value, old: Value, new: Value) -> tuple[float, float] | None:
    """Error of `new` over error of `old`: largest and root mean square; None where these are no floats."""
    if not isinstance(old, np.ndarray) or not isinstance(right, np.ndarray) or right.dtype.kind != "f" or not old.size:
        return None
    finite = np.isfinite(right)
    before, after = (np.abs(np.asarray(a, np.float64)[finite] - right[finite]) for a in (old, new))
    if not before.size:
        return None
    return quotient(after.max(), before.max()), quotient(np.sqrt((after**2).mean()), np.sqrt((before**2).mean()))


def quotient(new: float, old: float) -> float:
    """`new / old`, where 0 over 0 is 1."""
    if old == 0:
        return 1.0 if new == 0 else WORST
    return float(min(new / old, WORST))


def within(found: Sequence[dict[str, Any]], key: str) -> float:
    """The share of windows within the limit."""
    return sum(window[key] <= LIMIT for window in found) / len(found)


def line(name: str, found: Sequence[dict[str, Any]], error: str) -> str:
    """One row."""
    if not found:
        return f"{name[:28]:28} {0:8} {error[:80]}"
    shares = [within(found, key) for key in ("max", "rms")]
    means = [statistics.mean(window[key] for window in found) for key in ("max", "rms")]
    median = statistics.median(window["rms"] for window in found)
    return (
        f"{name[:28]:28} {len(found):8} {100 * shares[0]:8.1f}% {100 * shares[1]:8.1f}% "
        f"{means[0]:9.3f} {means[1]:9.3f} {median:7.3f}"
    )


if __name__ == "__main__":
    sys.exit(main())
