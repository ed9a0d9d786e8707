"""The simulated order of execution is the one that ONNX Runtime's profiler shows."""

from __future__ import annotations

import json
import random
from pathlib import Path

import numpy as np
import onnx
import onnxruntime as ort
import pytest
from onnx import helper

from ncgopt.memory.schedule import default_order, priority_order


def branching(seed: int) -> onnx.ModelProto:
    """Nodes that read any of the values before them; some read by nobody, one with a subgraph, some Shapes."""
    draw = random.Random(seed)
    values, nodes = ["x"], []
    for place in range(40):
        inputs = [draw.choice(values), draw.choice(values)]
        kind = draw.choice(("Add", "Mul", "Relu", "Neg", "Shape", "If"))
        name = f"n{place}"
        if kind == "Shape":
            nodes.append(helper.make_node("Shape", inputs[:1], [f"s{place}"], name=name))
            nodes.append(helper.make_node("Expand", [inputs[1], f"s{place}"], [f"v{place}"], name=f"e{place}"))
        elif kind == "If":
            inner = [
                helper.make_graph(
                    [helper.make_node(op, [inputs[0], inputs[1]], [f"{op}{place}"], name=f"{op}{place}")],
                    op, [], [helper.make_tensor_value_info(f"{op}{place}", 1, None)],
                )
                for op in ("Sub", "Max")
            ]  # fmt: skip
            nodes.append(
                helper.make_node("If", ["c"], [f"v{place}"], name=name, then_branch=inner[0], else_branch=inner[1])
            )
        else:
            used = inputs if kind in ("Add", "Mul") else inputs[:1]
            nodes.append(helper.make_node(kind, used, [f"v{place}"], name=name))
        values.append(f"v{place}")
    read = {name for node in nodes for name in node.input}
    outputs = [value for value in values if value not in read][:3]
    graph = helper.make_graph(
        nodes, "g", [helper.make_tensor_value_info("x", 1, [2]), helper.make_tensor_value_info("c", 9, [])],
        [helper.make_tensor_value_info(name, 1, None) for name in outputs],
    )  # fmt: skip
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=9)


def executed_by_onnx_runtime(model: onnx.ModelProto, folder, order: ort.ExecutionOrder) -> list[str]:
    options = ort.SessionOptions()
    options.graph_optimization_level = ort.GraphOptimizationLevel.ORT_DISABLE_ALL
    options.execution_order = order
    options.enable_profiling = True
    options.profile_file_prefix = str(folder / "trace")
    session = ort.InferenceSession(model.SerializeToString(), options, providers=["CPUExecutionProvider"])
    session.run(None, {"x": np.ones(2, np.float32), "c": np.array(True)})
    events = json.loads(Path(session.end_profiling()).read_text())
    ran = [event["name"].removesuffix("_kernel_time") for event in events if event["name"].endswith("_kernel_time")]
    names = {node.name for node in model.graph.node}
    return [name for name in ran if name in names]


@pytest.mark.parametrize("seed", range(6))
@pytest.mark.parametrize(
    ("simulate", "order"),
    [(default_order, ort.ExecutionOrder.DEFAULT), (priority_order, ort.ExecutionOrder.PRIORITY_BASED)],
)
def test_the_profiler_shows_the_simulated_order(tmp_path, seed, simulate, order):
    model = branching(seed)
    ran = executed_by_onnx_runtime(model, tmp_path, order)
    simulated = [model.graph.node[place].name for place in simulate(model.graph.node)]
    assert simulated == ran
    assert simulated != [node.name for node in model.graph.node], "the order of the file: the test shows nothing"
