"""How many nodes each optimizer leaves: ncgopt beside its peers, on every model of a corpus.

    python benchmarks/nodes.py INDEX --target onnx
    python benchmarks/nodes.py INDEX --target onnxruntime --operators

INDEX is a JSON list of models: `name`, `file` (relative to INDEX), and optionally `group`, `input_npz` (a list of
files with one run's inputs each, relative to INDEX) and `ort_opt_noise_rel` (how far ONNX Runtime's own optimizations
move the outputs). Nodes are counted with those of subgraphs and local functions; `Constant` is not counted. A result
counts only where it is correct: its outputs differ from the original's by no more than 1e-4 of their largest element,
or twice the model's own noise, with all of the runtime's optimizations off.

For the target `onnx` the peers are onnxsim, onnxslim, onnxoptimizer, onnxscript and ONNX Runtime's basic level, and
each model is held against the best of them; for `onnxruntime` it is held against ONNX Runtime's extended level. Each
tool runs as a process of its own, in the interpreter that `--python` names; one whose package is not installed there is
left out. `--results FILE` reads what an earlier run found, runs only what is missing and writes all of it back;
ncgopt itself always runs anew.
"""

from __future__ import annotations

import argparse
import json
import math
import subprocess
import sys
import tempfile
from collections import Counter
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import onnxruntime as ort

Result = dict[str, Any]
"""What a tool made of a model: `nodes`, `ops`, `err` (a number, or what is wrong); `error` where it made nothing."""

NCGOPT = "from ncgopt_cli.main import run; run()"
ORT = (
    "import sys, onnxruntime as o; s = o.SessionOptions(); s.log_severity_level = 3;"
    "s.graph_optimization_level = o.GraphOptimizationLevel.ORT_ENABLE_{level};"
    "s.optimized_model_filepath = sys.argv[2];"
    "o.InferenceSession(sys.argv[1], s, providers=['CPUExecutionProvider'])"
)
PEERS: dict[str, tuple[str, str]] = {
    "onnxsim": (
        "onnxsim",
        "import sys, onnx, onnxsim; m, ok = onnxsim.simplify(sys.argv[1]); assert ok; onnx.save(m, sys.argv[2])",
    ),
    "onnxslim": ("onnxslim", "import sys, onnxslim; onnxslim.slim(sys.argv[1], sys.argv[2])"),
    "onnxoptimizer": (
        "onnxoptimizer",
        "import sys, onnx, onnxoptimizer as o; m = onnx.load(sys.argv[1]);"
        "onnx.save(o.optimize(m, o.get_fuse_and_elimination_passes(), fixed_point=True), sys.argv[2])",
    ),
    "onnxscript": (
        "onnxscript",
        "import sys, onnx_ir as ir; from onnxscript import optimizer, rewriter; m = ir.load(sys.argv[1]);"
        "m = optimizer.optimize(m); ir.save(rewriter.rewrite(m) or m, sys.argv[2])",
    ),
    "ort_basic": ("onnxruntime", ORT.format(level="BASIC")),
    "ort_ext": ("onnxruntime", ORT.format(level="EXTENDED")),
}
"""Per peer the package it needs, and a program that takes the paths of model and result."""

AGAINST = {"onnx": tuple(PEERS)[:-1], "onnxruntime": ("ort_ext",)}
TOLERANCE = 1e-4


def main() -> None:
    """Run what is missing, then print the table."""
    options = arguments()
    root, entries = options.index.resolve().parent, json.loads(options.index.read_text())
    entries = [e for e in entries if not options.names or {e["name"], e.get("group")} & set(options.names.split(","))]
    peers = [p for p in AGAINST[options.target] if is_installed(options.python, PEERS[p][0])]
    known: dict[str, dict[str, Result]] = {}
    if options.results and options.results.exists():
        known = json.loads(options.results.read_text())
    for entry in entries:
        results = known.setdefault(entry["name"], {})
        results.setdefault("original", {}).update(count(root / entry["file"]), noise=entry.get("ort_opt_noise_rel"))
        for tool in (*(p for p in AGAINST[options.target] if p not in results and p in peers), "ncgopt"):
            results[tool] = measure(tool, root, entry, options)
        print(line(entry["name"], results, options.target, with_operators=options.operators), flush=True)
        if options.results:
            options.results.write_text(json.dumps(known, indent=1))
    print(summary({e["name"]: known[e["name"]] for e in entries}, options.target))


def arguments() -> argparse.Namespace:
    """The command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("index", type=Path)
    parser.add_argument("--target", choices=AGAINST, default="onnx")
    parser.add_argument("--names", default="", help="only these models or groups, comma separated")
    parser.add_argument("--results", type=Path, metavar="FILE", help="JSON to take peers' results from and write to")
    parser.add_argument("--python", default=sys.executable, help="interpreter that has the peers' packages")
    parser.add_argument("--operators", action="store_true", help="show which operators make the difference")
    parser.add_argument("--keep", type=Path, metavar="FOLDER", help="where to leave ncgopt's results")
    parser.add_argument("--ncgopt", default="", help="more arguments of `ncgopt optimize`, e.g. '--no-verify'")
    parser.add_argument("--timeout", type=float, default=900, help="seconds per tool and model")
    return parser.parse_args()


def is_installed(python: str, package: str) -> bool:
    """Whether the interpreter can import `package`."""
    probe = f"import importlib.util as u, sys; sys.exit(u.find_spec({package!r}) is None)"
    return subprocess.run([python, "-c", probe], check=False).returncode == 0


def measure(tool: str, root: Path, entry: dict[str, Any], options: argparse.Namespace) -> Result:
    """What `tool` makes of the model, compared with the original on the inputs of the corpus."""
    source = root / entry["file"]
    with tempfile.TemporaryDirectory() as scratch:
        folder = options.keep if tool == "ncgopt" and options.keep else Path(scratch)
        folder.mkdir(parents=True, exist_ok=True)
        output = folder / f"{entry['name']}.onnx"
        output.unlink(missing_ok=True)
        if tool == "ncgopt":
            command = [sys.executable, "-c", NCGOPT, "optimize", str(source), "-o", str(output), "-q"]
            command += ["--target", options.target, *options.ncgopt.split()]
        else:
            command = [options.python, "-c", PEERS[tool][1], str(source), str(output)]
        try:
            done = subprocess.run(command, capture_output=True, text=True, timeout=options.timeout, check=False)
        except subprocess.TimeoutExpired:
            return {"error": f"no result after {options.timeout:.0f} s"}
        if done.returncode or not output.exists():
            return {"rc": done.returncode, "error": (done.stderr or done.stdout).strip()[-300:]}
        feeds = [dict(np.load(root / path, allow_pickle=True)) for path in entry.get("input_npz") or ()]
        return {"rc": 0, **count(output), "err": difference(source, output, feeds)}


def count(path: Path) -> Result:
    """Nodes and operators of a model."""
    model = onnx.load(path, load_external_data=False)
    found = Counter(node.op_type for node in nodes_of(model.graph.node))
    for function in model.functions:
        found.update(node.op_type for node in nodes_of(function.node))
    constants = found.pop("Constant", 0)
    return {"nodes": found.total(), "constants": constants, "ops": dict(found.most_common())}


def nodes_of(nodes: Sequence[onnx.NodeProto]) -> Iterator[onnx.NodeProto]:
    """The nodes and those of their subgraphs."""
    for node in nodes:
        yield node
        for attribute in node.attribute:
            for graph in (attribute.g, *attribute.graphs):
                yield from nodes_of(graph.node)


def difference(source: Path, output: Path, feeds: Sequence[dict[str, np.ndarray]]) -> float | str:
    """The largest relative difference over all feeds, or what is wrong; 0 where there are no feeds."""
    try:
        original, result = session(source), session(output)
        names = {value.name for value in result.get_inputs()}
        worst = 0.0
        for feed in feeds:
            expected = original.run(None, feed)
            actual = result.run(None, {name: value for name, value in feed.items() if name in names})
            if len(expected) != len(actual):
                return f"{len(actual)} outputs instead of {len(expected)}"
            worst = max(worst, *(apart(np.asarray(a), np.asarray(b)) for a, b in zip(expected, actual, strict=True)))
    except Exception as error:  # whatever the runtime objects to is a finding about the result
        return f"does not run: {error}"[:200]
    return worst


def session(path: Path) -> ort.InferenceSession:
    """The model as it is, without the runtime's own optimizations."""
    options = ort.SessionOptions()
    options.graph_optimization_level = ort.GraphOptimizationLevel.ORT_DISABLE_ALL
    options.log_severity_level = 4
    return ort.InferenceSession(path, options, providers=["CPUExecutionProvider"])


def apart(a: np.ndarray, b: np.ndarray) -> float:
    """How far `b` is from `a`: relative to the largest element of `a`; infinite where types or shapes differ."""
    if a.shape != b.shape or a.dtype != b.dtype:
        return math.inf
    if a.dtype.kind != "f":
        return 0.0 if np.array_equal(a, b) else float(np.mean(a != b))
    if not np.array_equal(np.isnan(a), np.isnan(b)):
        return math.inf
    with np.errstate(invalid="ignore"):
        away = np.abs(np.where(a == b, 0, a.astype(np.float64) - b))
    return float(np.nanmax(away, initial=0) / (np.nanmax(np.abs(a), initial=0) + 1e-12))


def is_correct(result: Result, original: Result) -> bool:
    """Whether there is a result, and one that counts."""
    error = result.get("err")
    return "nodes" in result and isinstance(error, float | int) and error <= limit(original)


def limit(original: Result) -> float:
    """The largest difference that is let through: an ill-conditioned model's own noise is the floor."""
    return max(TOLERANCE, 2 * (original.get("noise") or 0.0))


def best(results: dict[str, Result], target: str) -> int:
    """The fewest nodes of a correct peer; the original's where none is correct."""
    original = results["original"]
    found = [results[p] for p in AGAINST[target] if p in results]
    return min((r["nodes"] for r in found if is_correct(r, original)), default=original["nodes"])


def line(name: str, results: dict[str, Result], target: str, *, with_operators: bool) -> str:
    """One row of the table."""
    ours, original = results["ncgopt"], results["original"]
    cells = [f"{name:26s} original {original['nodes']:5d}"]
    for tool in (*AGAINST[target], "ncgopt"):
        if tool in results:
            cells.append(f"{tool} {results[tool]['nodes'] if is_correct(results[tool], original) else 'WRONG':>5}")
    if is_correct(ours, original):
        ratio = max(ours["nodes"], 1) / max(best(results, target), 1)
        cells.append(f"ratio {ratio:.3f}{' ABOVE' if ratio > 1 else ''}")
        peer = results.get(AGAINST[target][-1], {})
        if with_operators and "ops" in peer:
            more, less = Counter(ours["ops"]), Counter(peer["ops"])
            cells.append(f"\n    more: {counts(more - less)}\n    less: {counts(less - more)}")
    else:
        cells.append(str(ours.get("error") or ours.get("err")))
    return "  ".join(cells)


def counts(operators: Counter[str]) -> str:
    """Operators and how often, most frequent first."""
    return ", ".join(f"{name} {n}" for name, n in operators.most_common()) or "-"


def summary(results: dict[str, dict[str, Result]], target: str) -> str:
    """Geometric means, and the models on which a peer is ahead."""
    right = {name: r for name, r in results.items() if is_correct(r["ncgopt"], r["original"])}
    ratios = {name: max(r["ncgopt"]["nodes"], 1) / max(best(r, target), 1) for name, r in right.items()}
    lines = [f"\n{len(results)} models, {len(right)} correct results of ncgopt"]
    if ratios:
        mean = math.exp(sum(map(math.log, ratios.values())) / len(ratios))
        lines.append(f"nodes over {' / '.join(AGAINST[target])} (best correct one): geometric mean {mean:.3f}")
    above = sorted((name for name in ratios if ratios[name] > 1), key=lambda name: -ratios[name])
    lines.append(f"more nodes on {len(above)}: {', '.join(f'{name} {ratios[name]:.3f}' for name in above) or '-'}")
    return "\n".join(lines)


if __name__ == "__main__":
    main()
