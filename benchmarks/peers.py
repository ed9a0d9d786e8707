"""Whole-process time and peak memory of ncgopt and its peers, on the same models, taking turns.

    python benchmarks/peers.py [--peers-python PYTHON] [--rounds 3] [--patience S] [--minutes M]
        [--clock wall] [--out FILE.json] MODEL_OR_FOLDER ...

`--peers-python` names a Python that has onnxslim, onnxsim and onnxoptimizer (`pip install onnxslim onnxsim
onnxoptimizer`); this one needs ncgopt alone. For each model all tools run once per round, in a process of their own
each, in an order that changes from round to round; what counts is the median over the rounds. Time is that of the
whole process, start of the interpreter included, by the wall or (`--clock cpu`, for machines that are busy
otherwise) in seconds of processor time, children included. Memory is the peak of the process and of its largest
child. Bytecode is compiled first, as an installation does.

A model that took more than `--patience` seconds gets no further round, and after `--minutes` no model begins: name
them in an order in which the first are like the rest.

Printed per model are seconds and MiB of each tool; in the end, geometric means of ncgopt's time over each peer's
on the models where both succeed, for models of 10 MB and more and over all, with the bounds that we set ourselves.
"""

from __future__ import annotations

import argparse
import compileall
import json
import math
import os
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

import ncgopt

LARGE = 10_000_000
_OURS = "from ncgopt_cli.main import run; run()"
_SLIM = "import sys, onnxslim; onnxslim.slim(sys.argv[1], sys.argv[2])"
_SIM = """
import sys, onnx, onnxsim
model, good = onnxsim.simplify(onnx.load(sys.argv[1]))
assert good
onnx.save(model, sys.argv[2])
"""
_OPTIMIZER = """
import sys, onnx, onnxoptimizer
onnx.save(onnxoptimizer.optimize(onnx.load(sys.argv[1]), onnxoptimizer.get_fuse_and_elimination_passes()), sys.argv[2])
"""
# Our time over the peer's: the most we allow ourselves, for large models and over all.
BOUNDS: dict[tuple[str, str], tuple[float | None, float | None]] = {
    ("ncgopt --no-verify", "onnxslim"): (0.3, 0.7),
    ("ncgopt --no-verify", "onnxsim"): (0.15, 0.25),
    ("ncgopt", "onnxslim"): (None, 1.0),
}


@dataclass(frozen=True)
class Run:
    """One process: seconds (None where it failed) and MiB at its peak."""

    seconds: float | None
    mebibytes: float


def commands(model: Path, target: Path, peers: str) -> dict[str, list[str]]:
    """How each tool is called."""
    ours = [sys.executable, "-c", _OURS, "optimize", str(model), "-o", str(target), "-q"]
    return {
        "ncgopt --no-verify": [*ours, "--no-verify"],
        "ncgopt": ours,
        "onnxslim": [peers, "-c", _SLIM, str(model), str(target)],
        "onnxsim": [peers, "-c", _SIM, str(model), str(target)],
        "onnxoptimizer": [peers, "-c", _OPTIMIZER, str(model), str(target)],
    }


def run(command: list[str], folder: Path, *, clock: str, timeout: float) -> Run:
    """Run one process to its end; a helper in between reports what it and its children took."""
    result = folder / "usage.json"
    with (folder / "output.txt").open("wb") as output:
        helper = [sys.executable, __file__, "--measure", str(result), "--", *command]
        try:
            code = subprocess.run(helper, stdout=output, stderr=output, timeout=timeout).returncode
        except subprocess.TimeoutExpired:
            return Run(None, 0.0)
    usage = json.loads(result.read_text(encoding="utf-8"))
    return Run(usage[clock] if code == 0 else None, usage["mebibytes"])


def measure(result: Path, command: Sequence[str]) -> int:
    """The helper: its only children are the tool and what that starts, so their usage is its children's."""
    start = time.perf_counter()
    code = subprocess.run(command).returncode
    wall = time.perf_counter() - start
    usage = resource.getrusage(resource.RUSAGE_CHILDREN)
    unit = 1 << 20 if sys.platform == "darwin" else 1 << 10
    found = {"wall": wall, "cpu": usage.ru_utime + usage.ru_stime, "mebibytes": usage.ru_maxrss / unit}
    result.write_text(json.dumps(found), encoding="utf-8")
    return code


def models_in(places: Sequence[Path]) -> Iterator[Path]:
    """The files named, and those in folders named."""
    for place in places:
        yield from sorted(place.rglob("*.onnx")) if place.is_dir() else [place]


def bytes_of(model: Path) -> int:
    """Bytes of a model with the data files that lie beside it under its name."""
    return sum(path.stat().st_size for path in model.parent.glob(f"{model.name}*"))


def compare(model: Path, arguments: argparse.Namespace) -> dict[str, Run]:
    """All tools on one model: the median over the rounds, nothing where one of them failed."""
    runs: dict[str, list[Run]] = {}
    with tempfile.TemporaryDirectory(prefix="ncgopt-peers-") as name:
        folder = Path(name)
        start = time.perf_counter()
        for number in range(arguments.rounds):
            if number and time.perf_counter() - start > arguments.patience:
                break
            tools = list(commands(model, folder / "out.onnx", arguments.peers_python).items())
            tools = [(tool, command) for tool, command in tools if not arguments.tools or tool in arguments.tools]
            for tool, command in tools[number % len(tools) :] + tools[: number % len(tools)]:
                for left in folder.iterdir():
                    left.unlink()
                runs.setdefault(tool, []).append(run(command, folder, clock=arguments.clock, timeout=arguments.timeout))
    return {tool: _median(found) for tool, found in runs.items()}


def _median(runs: Sequence[Run]) -> Run:
    seconds = [run.seconds for run in runs if run.seconds is not None]
    memory = statistics.median(run.mebibytes for run in runs)
    return Run(statistics.median(seconds) if len(seconds) == len(runs) else None, memory)


def ratio(found: dict[Path, dict[str, Run]], ours: str, peer: str, least: int) -> tuple[float, int]:
    """Geometric mean of our time over the peer's on models of at least `least` bytes, and how many these are."""
    logs: list[float] = []
    for model, runs in found.items():
        mine, theirs = runs.get(ours), runs.get(peer)
        if mine and theirs and mine.seconds and theirs.seconds and bytes_of(model) >= least:
            logs.append(math.log(mine.seconds / theirs.seconds))
    return (math.exp(statistics.fmean(logs)), len(logs)) if logs else (math.nan, 0)


def show(model: Path, runs: dict[str, Run]) -> None:
    """One line per model."""
    parts = [
        f"{tool} {'failed' if run.seconds is None else f'{run.seconds:.2f} s'} {run.mebibytes:.0f} MiB"
        for tool, run in runs.items()
    ]
    print(f"{model.name} ({bytes_of(model) / 1e6:.1f} MB): {', '.join(parts)}", flush=True)


def summarize(found: dict[Path, dict[str, Run]]) -> int:
    """Print the geometric means; 1 where one is over its bound."""
    code = 0
    for (ours, peer), bounds in BOUNDS.items():
        for least, bound in zip((LARGE, 0), bounds, strict=True):
            mean, count = ratio(found, ours, peer, least)
            over = bound is not None and mean > bound
            code = code or int(over)
            size = "10 MB and more" if least else "all"
            limit = "" if bound is None else f"  (at most {bound}{', MISSED' if over else ''})"
            print(f"{ours} / {peer}, {size}, {count} models: {mean:.3f}{limit}")
    return code


def main() -> int:
    """Measure, print, and write what was measured."""
    if sys.argv[1:2] == ["--measure"]:
        return measure(Path(sys.argv[2]), sys.argv[4:])
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("models", nargs="+", type=Path, metavar="MODEL_OR_FOLDER")
    parser.add_argument("--peers-python", default=sys.executable)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--patience", type=float, default=math.inf, help="seconds; see above")
    parser.add_argument("--minutes", type=float, default=math.inf, help="see above")
    parser.add_argument("--clock", choices=["wall", "cpu"], default="wall")
    parser.add_argument("--timeout", type=float, default=900.0)
    parser.add_argument("--tools", nargs="*", help="only these; all by default")
    parser.add_argument("--out", type=Path)
    arguments = parser.parse_args()
    os.environ.pop("PYTHONDONTWRITEBYTECODE", None)
    for package in ("ncgopt", "ncgopt_cli"):
        spec = __import__(package)
        compileall.compile_dir(os.path.dirname(spec.__file__ or ""), quiet=2)
    found: dict[Path, dict[str, Run]] = {}
    end = time.monotonic() + 60 * arguments.minutes
    for model in models_in(arguments.models):
        if time.monotonic() > end:
            print(f"time is up before {model.name}")
            break
        found[model] = compare(model, arguments)
        show(model, found[model])
        if arguments.out is not None:
            report = {str(path): {tool: asdict(run) for tool, run in runs.items()} for path, runs in found.items()}
            arguments.out.write_text(json.dumps(report, indent=1), encoding="utf-8")
    print(f"ncgopt {ncgopt.__version__}, {arguments.clock} time, median of up to {arguments.rounds}")
    return summarize(found)


if __name__ == "__main__":
    sys.exit(main())
