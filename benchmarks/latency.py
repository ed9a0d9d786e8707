"""Latency and load time of a corpus, optimized against original, in ONNX Runtime with all of its own optimizations.

    python benchmarks/latency.py INDEX --folder build/latency --prepare     # only optimize, as fast as that goes
    python benchmarks/latency.py INDEX --folder build/latency               # then measure, on a quiet machine
    python benchmarks/latency.py FOLDER_WITH_MODELS --folder build/latency --threads 1

INDEX is a JSON list of models: `name`, `file` (relative to INDEX), and optionally `group` and `input_npz` (files with
one run's inputs each, relative to INDEX; the first that the model takes is used). Instead of one, a folder or a model
does. Optimized models stay in `--folder` and are made anew only with `--again`, and so are results
(`latency.json`): a run that was stopped goes on where it was. `--minutes` ends the run in time; what is left out is
counted.

Each figure is original over optimized, above 1 where the optimized model is faster, with its 95 % interval: every model
in processes of its own, blocks of runs alternating, no spinning; with one thread processor time counts, with more the
clock on the wall (`ncgopt.measure`). Geometric means are per group, and over what `--also NAME=GLOB,GLOB` names.
"""

from __future__ import annotations

import argparse
import fnmatch
import hashlib
import json
import math
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from ncgopt.errors import NcgoptError
from ncgopt.measure.blocks import Effort, measure
from ncgopt.measure.latency import inputs_of, latency_of
from ncgopt.measure.ratio import ratio_of
from ncgopt.runtime import Worker
from ncgopt.settings import VerifySettings

SLOWER = 0.98  # a ratio below it is marked
GAIN = 1.03  # models that gain less are explained
SHOWN = 5  # operators per model
NCGOPT = "from ncgopt_cli.main import run; run()"


def main() -> int:
    """Optimize what is missing, measure what is missing, print the table; 1 where a model is slower."""
    options = arguments()
    options.folder.mkdir(parents=True, exist_ok=True)
    entries = [e for e in corpus(options.corpus) if not options.only or matches(e, options.only.split(","))]
    for entry in entries:
        prepare(entry, options)
    if options.prepare:
        return 0
    end = time.monotonic() + 60 * options.minutes
    store = options.folder / "latency.json"
    known: dict[str, Any] = json.loads(store.read_text()) if store.exists() and not options.again else {}
    left_out = 0
    print(f"{'model':28} {'group':10} {'threads':>7} {'ms':>9} {'ratio':>7} {'95 % interval':>15} {'load':>6}")
    for entry in entries:
        for threads in options.threads:
            key = f"{entry['name']}/{threads}"
            state = digest(result_of(entry, options)) if result_of(entry, options).exists() else ""
            if known.get(key, {}).get("state") != state:
                if time.monotonic() > end:
                    left_out += 1
                    continue
                known[key] = {**compare(entry, threads, options), "state": state}
                store.write_text(json.dumps(known, indent=1))
            print(line(entry, threads, known[key]), flush=True)
    found = [(e, t, known[f"{e['name']}/{t}"]) for e in entries for t in options.threads if f"{e['name']}/{t}" in known]
    print("\n".join(summary(found, options)))
    if options.explain:
        for entry, threads, one in found:
            if one.get("ratio", 2.0) < GAIN and threads == options.threads[0] and time.monotonic() < end:
                print(explained(entry, threads, options), flush=True)
    if left_out:
        print(f"{left_out} measurements were left out after {options.minutes} minutes; run again to go on")
    return any(one.get("ratio", 1.0) < SLOWER and one["verdict"] == "slower" for _, _, one in found if "ratio" in one)


def arguments() -> argparse.Namespace:
    """The command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("corpus", type=Path, help="an index, a folder with models, or a model")
    parser.add_argument("--folder", type=Path, required=True, help="for optimized models and results")
    parser.add_argument("--threads", type=int, nargs="+", default=[1, 2])
    parser.add_argument("--seconds", type=float, default=3.0, help="of runs per measurement; loading comes on top")
    parser.add_argument("--processes", type=int, default=2, help="per model and measurement")
    parser.add_argument("--minutes", type=float, default=25.0, help="of measuring, after which no measurement begins")
    parser.add_argument("--only", default="", help="names or groups, globs, comma separated")
    parser.add_argument(
        "--also", action="append", default=["trained=pypi,npm", "real-time=*silero*,*_cls"], metavar="NAME=GLOB,GLOB"
    )
    parser.add_argument("--ncgopt", default="--target onnxruntime --no-verify", help="options of `ncgopt optimize`")
    parser.add_argument("--prepare", action="store_true", help="optimize only")
    parser.add_argument("--explain", action="store_true", help="say where the time goes of what gains less than 3 %%")
    parser.add_argument("--again", action="store_true", help="forget optimized models and results")
    return parser.parse_args()


def corpus(path: Path) -> list[dict[str, Any]]:
    """Models with `name`, `group`, `file` and `input_npz`, as paths."""
    if path.suffix == ".json":
        root = path.resolve().parent
        return [
            {
                "name": entry["name"],
                "group": entry.get("group", "-"),
                "file": root / entry["file"],
                "input_npz": [root / one for one in entry.get("input_npz", [])],
            }
            for entry in json.loads(path.read_text())
        ]
    files = sorted(path.rglob("*.onnx")) if path.is_dir() else [path]
    return [{"name": one.stem, "group": one.parent.name, "file": one.resolve(), "input_npz": []} for one in files]


def matches(entry: dict[str, Any], globs: Sequence[str]) -> bool:
    """Whether one of the globs names the model or its group."""
    return any(fnmatch.fnmatchcase(entry[key], glob) for glob in globs for key in ("name", "group"))


def result_of(entry: dict[str, Any], options: argparse.Namespace) -> Path:
    """Where the optimized model lies."""
    return options.folder / f"{entry['name']}.onnx"


def prepare(entry: dict[str, Any], options: argparse.Namespace) -> None:
    """Optimize a model, unless that was done before."""
    target = result_of(entry, options)
    if target.exists() and not options.again:
        return
    command = [sys.executable, "-c", NCGOPT, "optimize", str(entry["file"]), "-q", "-o", str(target)]
    done = subprocess.run([*command, *options.ncgopt.split()], capture_output=True, text=True, check=False)
    if done.returncode:
        print(f"{entry['name']}: {done.stderr.strip()}", file=sys.stderr)


def digest(path: Path) -> str:
    """What a file holds, in few letters."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()[:16]


def compare(entry: dict[str, Any], threads: int, options: argparse.Namespace) -> dict[str, Any]:
    """Original against optimized; `error` where that cannot be."""
    paths = [entry["file"], result_of(entry, options)]
    if not paths[1].exists():
        return {"error": "not optimized"}
    problem = "no inputs"
    for feeds in [*((one,) for one in entry["input_npz"]), ()]:
        settings = VerifySettings(feeds=feeds)
        try:
            survey, case = inputs_of(paths[0], settings)
            effort = Effort(seconds=options.seconds, processes=options.processes)
            series = measure(paths, survey, case, settings, threads=threads, effort=effort)
        except NcgoptError as error:
            problem = str(error)
            continue
        ratio = ratio_of(series[0].blocks, series[1].blocks)
        before, after = (latency_of(path, one) for path, one in zip(paths, series, strict=True))
        return {
            "ratio": ratio.value,
            "low": ratio.low,
            "high": ratio.high,
            "verdict": ratio.verdict,
            "load": before.load / after.load,
            "before": before.p50,
            "after": after.p50,
        }
    return {"error": problem}


def explained(entry: dict[str, Any], threads: int, options: argparse.Namespace) -> str:
    """Where the time of an optimized model goes: share of each operator, and its FLOP/s beside the machine's."""
    path = result_of(entry, options).resolve()
    for feeds in [*((one,) for one in entry["input_npz"]), ()]:
        settings = VerifySettings(feeds=feeds)
        try:
            survey, case = inputs_of(entry["file"], settings)
            with Worker() as worker:
                kernels = worker.call("ncgopt.measure.remote:trace", path, survey, case, settings, threads, 5)
                machine = worker.call("ncgopt.measure.remote:peak_flops", threads)
        except NcgoptError:
            continue
        return f"{entry['name']}, at {machine / 1e9:.0f} GFLOP/s in MatMul: " + "; ".join(shares(kernels))
    return f"{entry['name']}: could not be profiled"


def shares(kernels: Sequence[Any]) -> Iterator[str]:
    """The operators that take most of the time."""
    total = sum(kernel.seconds for kernel in kernels)
    operators: dict[str, list[Any]] = {}
    for kernel in kernels:
        operators.setdefault(kernel.operator, []).append(kernel)
    ordered = sorted(operators.items(), key=lambda item: -sum(kernel.seconds for kernel in item[1]))
    for name, some in ordered[:SHOWN]:
        seconds, flops = sum(kernel.seconds for kernel in some), sum(kernel.flops or 0 for kernel in some)
        rate = f" at {flops / seconds / 1e9:.0f} GFLOP/s" if flops > 1e6 else ""
        yield f"{len(some)} {name} {100 * seconds / total:.0f} %{rate}"


def line(entry: dict[str, Any], threads: int, one: dict[str, Any]) -> str:
    """One measurement."""
    start = f"{entry['name'][:28]:28} {entry['group'][:10]:10} {threads:7}"
    if "error" in one:
        return f"{start} {one['error'][:90]}"
    mark = "  SLOWER" if one["verdict"] == "slower" and one["ratio"] < SLOWER else ""
    interval = f"{one['low']:.3f} to {one['high']:.3f}"
    return f"{start} {1000 * one['before']:9.3f} {one['ratio']:7.3f} {interval:>15} {one['load']:6.2f}{mark}"


def summary(found: Sequence[tuple[dict[str, Any], int, dict[str, Any]]], options: argparse.Namespace) -> Iterator[str]:
    """Geometric means per group and number of threads."""
    groups = {entry["group"]: [entry["group"]] for entry, _, _ in found}
    groups |= {name: globs.split(",") for name, _, globs in (one.partition("=") for one in options.also)}
    groups["all"] = ["*"]
    yield ""
    yield f"{'geometric mean':28} {'models':>7} {'threads':>7} {'ratio':>7} {'load':>6} {'worst':>7}"
    for name, globs in groups.items():
        for threads in options.threads:
            chosen = [one for e, t, one in found if t == threads and matches(e, globs) and "ratio" in one]
            if chosen:
                ratio, load = (mean([one[key] for one in chosen]) for key in ("ratio", "load"))
                worst = min(one["ratio"] for one in chosen)
                yield f"{name:28} {len(chosen):7} {threads:7} {ratio:7.3f} {load:6.2f} {worst:7.3f}"


def mean(numbers: Sequence[float]) -> float:
    """The geometric mean."""
    return math.exp(sum(map(math.log, numbers)) / len(numbers))


if __name__ == "__main__":
    sys.exit(main())
