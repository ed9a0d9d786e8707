"""How the cost of a run grows with the graph: chains and random graphs of one, ten and a hundred thousand nodes.

    python benchmarks/scaling.py [--nodes 1000 10000 100000] [--max-ratio 12] [--shape chain dag ...] [--clock wall]

Each graph is written once and optimized without verification, in a process of its own; the time is that
process's, by the wall or (`--clock cpu`, for machines that are busy otherwise) in seconds of processor time.
What ten times as many nodes may cost is the last ratio printed per shape; the exit code is 1 where it is more
than `--max-ratio`. The work per node is meant to be the usual kind: some of the nodes can be removed, fused,
folded or shared, some cannot, and constants have one user or many.
"""

from __future__ import annotations

import argparse
import os
import random
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

_WIDEST = 40  # inputs of a node; to exchange one of them takes as long as there are

Build = Callable[[int], onnx.GraphProto]


def chain(count: int) -> onnx.GraphProto:
    """One node after another: element-wise operators with shared and own constants, identities, pairs to fuse."""
    nodes: list[onnx.NodeProto] = []
    constants = [_constant("shared", np.linspace(1, 2, 8, dtype=np.float32)), _constant("zero", np.float32([-0.0]))]
    last = "x"
    for number in range(count):
        kind = number % 10
        made = f"v{number}"
        if kind == 0:
            constants.append(_constant(f"own{number}", np.full(8, number % 7 + 1, np.float32)))
            nodes.append(helper.make_node("Mul", [last, f"own{number}"], [made]))
        elif kind in (1, 6):
            nodes.append(helper.make_node("Add", [last, "shared"], [made]))
        elif kind == 2:
            nodes.append(helper.make_node("Identity", [last], [made]))
        elif kind == 3:
            nodes.append(helper.make_node("Add", [last, "zero"], [made]))
        elif kind in (4, 5):
            nodes.append(helper.make_node("Transpose", [last], [made], perm=[1, 0]))
        else:
            nodes.append(helper.make_node(("Tanh", "Relu", "Sigmoid")[kind - 7], [last], [made]))
        last = made
    return _graph("chain", nodes, constants, [last])


def dag(count: int) -> onnx.GraphProto:
    """Each node reads one or two of the last fifty values, sometimes one from anywhere; some results are never used."""
    draw = random.Random(count)
    constants = [_constant(f"c{k}", np.full(8, k, np.float32)) for k in range(20)]
    values = ["x"]
    nodes: list[onnx.NodeProto] = []
    for number in range(count):
        near = values[-50:]
        first = draw.choice(near) if draw.random() < 0.95 else draw.choice(values)
        made = f"v{number}"
        pick = draw.random()
        if pick < 0.5:
            second = draw.choice(near) if draw.random() < 0.7 else f"c{draw.randrange(20)}"
            nodes.append(helper.make_node(draw.choice(["Add", "Mul", "Sub", "Max"]), [first, second], [made]))
        elif pick < 0.6:
            nodes.append(helper.make_node("Transpose", [first], [made], perm=[1, 0]))
        else:
            nodes.append(helper.make_node(draw.choice(["Tanh", "Relu", "Identity", "Neg"]), [first], [made]))
        values.append(made)
    # Every value that nobody reads becomes part of a sum of sums, but for a few that are dead.
    read = {name for node in nodes for name in node.input}
    ends = [name for name in values if name not in read]
    level = ends[: max(1, len(ends) - 5)]
    while len(level) > _WIDEST:
        parts = [level[start : start + _WIDEST] for start in range(0, len(level), _WIDEST)]
        level = [f"s{len(nodes) + number}" for number in range(len(parts))]
        nodes += [helper.make_node("Sum", part, [made]) for part, made in zip(parts, level, strict=True)]
    nodes.append(helper.make_node("Sum", level, ["y"]))
    return _graph("dag", nodes, constants, ["y"])


def constants(count: int) -> onnx.GraphProto:
    """What exporters write around shapes: one Constant node per use, many of them equal, much of it foldable."""
    nodes: list[onnx.NodeProto] = []
    last = "x"
    for number in range(count // 4):
        value = numpy_helper.from_array(np.full(8, number % 11, np.float32))
        nodes.append(helper.make_node("Constant", [], [f"k{number}"], value=value))
        nodes.append(helper.make_node("Neg", [f"k{number}"], [f"n{number}"]))
        nodes.append(helper.make_node("Mul", [last, f"n{number}"], [f"m{number}"]))
        nodes.append(helper.make_node("Tanh", [f"m{number}"], [f"t{number}"]))
        last = f"t{number}"
    return _graph("constants", nodes, [], [last])


SHAPES: dict[str, Build] = {"chain": chain, "dag": dag, "constants": constants}


def _constant(name: str, array: object) -> onnx.TensorProto:
    return numpy_helper.from_array(np.asarray(array), name)


def _graph(
    name: str, nodes: list[onnx.NodeProto], constants: list[onnx.TensorProto], outputs: list[str]
) -> onnx.GraphProto:
    tensor = helper.make_tensor_value_info
    inputs = [tensor("x", TensorProto.FLOAT, [8, 8])]
    results = [tensor(output, TensorProto.FLOAT, [8, 8]) for output in outputs]
    return helper.make_graph(nodes, name, inputs, results, constants)


def measure(build: Build, count: int, folder: Path, clock: str, extra: list[str]) -> float:
    """Seconds of one whole run of the command."""
    source = folder / f"{count}.onnx"
    model = helper.make_model(build(count), opset_imports=[helper.make_opsetid("", 20)], ir_version=10)
    onnx.save(model, str(source))
    command = ["optimize", str(source), "-o", str(folder / "out.onnx"), "--no-verify", "-q", *extra]
    start, before = time.perf_counter(), resource.getrusage(resource.RUSAGE_CHILDREN)
    subprocess.run(
        [sys.executable, "-c", "from ncgopt_cli.main import run; run()", *command], check=True, env=dict(os.environ)
    )
    wall, after = time.perf_counter() - start, resource.getrusage(resource.RUSAGE_CHILDREN)
    return wall if clock == "wall" else after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime


def main() -> int:
    """Print the table; 1 where the growth is more than allowed."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--nodes", type=int, nargs="+", default=[1_000, 10_000, 100_000])
    parser.add_argument("--shape", nargs="+", choices=list(SHAPES), default=list(SHAPES))
    parser.add_argument("--max-ratio", type=float, default=12.0)
    parser.add_argument("--clock", choices=["wall", "cpu"], default="wall")
    arguments, extra = parser.parse_known_args()
    code = 0
    for shape in arguments.shape:
        seconds: list[float] = []
        with tempfile.TemporaryDirectory(prefix="ncgopt-scaling-") as folder:
            for count in arguments.nodes:
                seconds.append(measure(SHAPES[shape], count, Path(folder), arguments.clock, extra))
                ratio = f"{seconds[-1] / seconds[-2]:6.2f} x" if len(seconds) > 1 else ""
                print(f"{shape:10} {count:8} nodes  {seconds[-1]:8.2f} s  {ratio}", flush=True)
        if len(seconds) > 1 and seconds[-1] / seconds[-2] > arguments.max_ratio:
            code = 1
    return code


if __name__ == "__main__":
    sys.exit(main())
