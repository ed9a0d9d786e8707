"""Peak memory of a run: what `ncgopt inspect --memory` predicts beside what it measures, and the order of execution.

    python benchmarks/peaks.py INDEX ... --results build/peaks.json
    python benchmarks/peaks.py INDEX ... --results build/peaks.json --show   # only the tables of what is there
    python benchmarks/peaks.py INDEX ... --results build/lower.json --lower onnx --only swin_tiny.ts light_squeezenet

INDEX is a JSON list of models: `name`, `file` (relative to INDEX), and `input_npz` (a list of files with one run's
inputs each, relative to INDEX); the largest of those counts. The peak is that of activations, without ONNX Runtime's
arena; "order" says whether its profiler shows the nodes in the order that the prediction assumes. What `--results`
has is not run again. `--lower TARGET` instead optimizes each model with `--objective memory`, and measures the
original and the result on the same inputs. A model of less than 8 MB is listed, but not counted: allocator and
kernels blur its measurement.
"""

from __future__ import annotations

import argparse
import json
import math
import tempfile
import time
from collections import Counter
from pathlib import Path
from typing import Any

import numpy as np
import onnx

from ncgopt.errors import NcgoptError
from ncgopt.memory import inspect_memory
from ncgopt.pipeline import optimize
from ncgopt.runtime import Worker
from ncgopt.runtime.session import open_session
from ncgopt.settings import Settings, Target, VerifySettings

MB = 1e6
COUNTED = 8.0  # MB
WITHIN = 0.05
SUFFIX = "_kernel_time"

Row = dict[str, Any]


def ran(model: Path, feeds: Path, folder: Path) -> tuple[list[str], list[str]]:
    """Run in the child: names of the main graph's nodes as the profiler shows them in a run, and as predicted."""
    session = open_session(model, optimize=True, profile=folder)
    with np.load(feeds) as file:
        given = {port.name: file[port.name] for port in session.inputs if port.name in file.files}
    session.run(given)
    events = json.loads(session.end_profile().read_text())
    graph = onnx.load(folder / "optimized.onnx", load_external_data=False).graph
    names = {node.name for node in graph.node if node.name}  # exporters leave some out
    shown = [str(event["name"]).removesuffix(SUFFIX) for event in events if str(event["name"]).endswith(SUFFIX)]
    return [name for name in shown if name in names], [node.name for node in graph.node if node.name]


def look(model: Path, feeds: Path) -> Row:
    """Predict, measure and profile one model."""
    start = time.perf_counter()
    found = inspect_memory(model, VerifySettings(feeds=(feeds,)), measure=True)
    step = found.prediction.steps[found.prediction.peak]
    with Worker() as worker, tempfile.TemporaryDirectory(prefix="ncgopt-") as folder:
        shown, assumed = worker.call(f"{Path(__file__).stem}:ran", model, feeds, Path(folder))
    return {
        "predicted": (step.total) / MB,
        "measured": (found.measured or 0) / MB,
        "workspace": step.workspace / MB,
        "unknown": len(found.prediction.unknown),
        "at": f"{step.operator} {step.node}",
        "order": shown == assumed,
        "seconds": time.perf_counter() - start,
    }


def lower(model: Path, feeds: Path, target: str) -> Row:
    """Optimize one model for memory at the sizes of its inputs, and measure it before and after."""
    start = time.perf_counter()
    before = inspect_memory(model, VerifySettings(feeds=(feeds,)), measure=True)
    sizes = {name: size for name, size in before.binding.items() if "[" not in name}
    settings = Settings(
        objective="memory", target=Target(target), verification=VerifySettings(bind=sizes, feeds=(feeds,))
    )
    with tempfile.TemporaryDirectory(prefix="ncgopt-") as folder:
        result = Path(folder) / "result.onnx"
        report = optimize(model, settings, output=result)
        after = inspect_memory(result, VerifySettings(feeds=(feeds,)), measure=True)
    fired = Counter(rewrite.source for rewrite in report.rewrites if rewrite.source.endswith("-for-memory"))
    return {
        "before": (before.measured or 0) / MB,
        "after": (after.measured or 0) / MB,
        "predicted": [before.prediction.peak_bytes / MB, after.prediction.peak_bytes / MB],
        "rewrites": fired,
        "verified": report.verification.status,
        "notes": report.notes,
        "seconds": time.perf_counter() - start,
    }


def models(index: Path) -> list[tuple[int, str, Path, Path]]:
    """Bytes, name, file and the largest inputs of every model that has inputs, the smallest model first."""
    entries = [entry for entry in json.loads(index.read_text()) if entry.get("input_npz")]
    folder = index.parent
    found = [
        (
            (folder / entry["file"]).stat().st_size,
            entry["name"],
            folder / entry["file"],
            max((folder / name for name in entry["input_npz"]), key=lambda path: path.stat().st_size),
        )
        for entry in entries
    ]
    return sorted(found)


def show(rows: dict[str, Row]) -> None:
    """The table, and how many of the models that count are within reach."""
    print(f"{'':26s} {'predicted':>9s} {'measured':>9s} {'ratio':>6s} {'unknown':>7s}  order")
    for name, row in sorted(rows.items(), key=lambda item: item[1].get("measured", 0.0)):
        if "error" in row:
            print(f"{name:26s} {row['error'][:90]}")
            continue
        ratio = row["predicted"] / max(row["measured"], 1e-9)
        print(
            f"{name:26s} {row['predicted']:9.2f} {row['measured']:9.2f} {ratio:6.3f} {row['unknown']:7d}"
            f"  {'same' if row['order'] else 'OTHER'}  {row['at'][:60]}"
        )
    good = [row for row in rows.values() if "error" not in row]
    large = [row for row in good if row["measured"] >= COUNTED]
    close = sum(abs(row["predicted"] / row["measured"] - 1) <= WITHIN for row in large)
    print(f"\n{close} of {len(large)} models of {COUNTED:g} MB or more within {WITHIN:.0%}; ", end="")
    print(f"order as predicted: {sum(row['order'] for row in good)} of {len(good)}")


def show_lower(rows: dict[str, Row]) -> None:
    """The table, and the geometric mean."""
    print(f"{'':26s} {'before':>9s} {'after':>9s} {'ratio':>6s} {'predicted':>9s}")
    ratios: list[float] = []
    for name, row in rows.items():
        if "error" in row:
            print(f"{name:26s} {row['error'][:90]}")
            continue
        ratios.append(max(row["after"], 1e-3) / max(row["before"], 1e-3))
        predicted = row["predicted"][1] / max(row["predicted"][0], 1e-9)
        print(
            f"{name:26s} {row['before']:9.2f} {row['after']:9.2f} {ratios[-1]:6.3f} {predicted:9.3f}  {row['verified']}"
            f"  {row['rewrites']}"
        )
    if ratios:
        mean = math.exp(sum(map(math.log, ratios)) / len(ratios))
        print(f"\ngeometric mean {mean:.3f}, best {min(ratios):.3f}, worst {max(ratios):.3f}")


def main() -> None:
    """Run what is missing, and show everything."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("index", nargs="+", type=Path)
    parser.add_argument("--results", type=Path, required=True)
    parser.add_argument("--only", nargs="*", default=[], help="names of models that are run anew")
    parser.add_argument("--limit", type=float, default=float("inf"), help="MB of a model's file")
    parser.add_argument("--lower", choices=[target.value for target in Target], help="optimize for memory instead")
    parser.add_argument("--show", action="store_true", help="run nothing")
    arguments = parser.parse_args()
    rows: dict[str, Row] = json.loads(arguments.results.read_text()) if arguments.results.exists() else {}
    for size, name, model, feeds in sorted(entry for index in arguments.index for entry in models(index)):
        wanted = name in arguments.only if arguments.only else name not in rows
        if arguments.show or not wanted or size > arguments.limit * MB:
            continue
        try:
            paths = model.absolute(), feeds.absolute()
            rows[name] = look(*paths) if arguments.lower is None else lower(*paths, arguments.lower)
        except NcgoptError as error:
            rows[name] = {"error": str(error)}
        print(f"{name}: {json.dumps(rows[name])}", flush=True)
        arguments.results.parent.mkdir(parents=True, exist_ok=True)
        arguments.results.write_text(json.dumps(rows, indent=1))
    (show if arguments.lower is None else show_lower)(rows)


if __name__ == "__main__":
    main()
