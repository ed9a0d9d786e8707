"""Running small models in this process: all values of them, or their outputs on given feeds."""

from __future__ import annotations

import threading
from collections.abc import Mapping
from typing import Any

import numpy as np
import onnx
import onnxruntime as ort
from semantics import ORT_ERRORS, draw

Sizes = Mapping[str, int]
Feeds = dict[str, Any]
# Nothing random decides which feeds a model takes, so that a seed always makes the same graphs.
KINDS = ("integers", "normal", "special")
_SECONDS = 2.0


class CannotRun(Exception):
    """ONNX Runtime refuses the model or the feeds."""


def inputs_of(model: onnx.ModelProto) -> list[onnx.ValueInfoProto]:
    """The graph's inputs without those that have a default."""
    defaults = {t.name for t in model.graph.initializer}
    return [v for v in model.graph.input if v.name not in defaults]


def symbols_of(model: onnx.ModelProto) -> list[str]:
    """Symbolic dims of the inputs."""
    dims = (d for v in inputs_of(model) for d in v.type.tensor_type.shape.dim)
    return sorted({d.dim_param for d in dims if d.dim_param})


def feeds_for(model: onnx.ModelProto, sizes: Sizes, kind: str, seed: int = 0) -> Feeds:
    """One array per input; a symbol that `sizes` does not name is 2."""
    rng = np.random.default_rng([seed, len(kind), sum(sizes.values())])
    return {v.name: draw(v, dict(sizes), kind, rng) for v in inputs_of(model)}


def run(model: onnx.ModelProto, feeds: Feeds, *, optimize: bool = False, times: int = 1) -> list[Any]:
    """Outputs on ONNX Runtime; of the last run, where it runs several `times` in one session.

    Raises:
        CannotRun: it refuses the model or the feeds, or is still busy after `_SECONDS`.
    """
    options = ort.SessionOptions()
    options.log_severity_level = 4
    options.intra_op_num_threads = options.inter_op_num_threads = 1
    levels = ort.GraphOptimizationLevel
    options.graph_optimization_level = levels.ORT_ENABLE_ALL if optimize else levels.ORT_DISABLE_ALL
    run_options = ort.RunOptions()
    run_options.log_severity_level = 4
    outputs: list[Any] = []
    # A mutated trip count makes a loop that never ends, and only another thread can stop ONNX Runtime.
    timer = threading.Timer(_SECONDS, setattr, (run_options, "terminate", True)) if _may_loop(model) else None
    try:
        session = ort.InferenceSession(model.SerializeToString(), options, providers=["CPUExecutionProvider"])
        if timer is not None:
            timer.start()
        for _ in range(times):
            outputs = session.run(None, feeds, run_options)
    except (*ORT_ERRORS, ValueError) as error:  # ValueError: an output is too large for an array
        raise CannotRun(str(error)) from error
    finally:
        if timer is not None:
            timer.cancel()
    return outputs


def _may_loop(model: onnx.ModelProto) -> bool:
    return any(n.op_type == "Loop" or any(a.HasField("g") for a in n.attribute) for n in model.graph.node) or any(
        n.op_type in ("Loop", "If") for f in model.functions for n in f.node
    )


def run_all(model: onnx.ModelProto, feeds: Feeds) -> dict[str, Any]:
    """Every value of the main graph by name, feeds and initializers included.

    Raises:
        CannotRun: ONNX Runtime refuses the model or the feeds.
    """
    probe = onnx.ModelProto()
    probe.CopyFrom(model)
    names = [name for node in model.graph.node for name in node.output if name]
    del probe.graph.output[:]
    probe.graph.output.extend(onnx.ValueInfoProto(name=name) for name in names)
    values = dict(zip(names, run(probe, feeds), strict=True))
    return {**feeds, **{t.name: onnx.numpy_helper.to_array(t) for t in model.graph.initializer}, **values}


def is_valid(model: onnx.ModelProto) -> bool:
    """Whether onnx's full checker accepts the model."""
    try:
        onnx.checker.check_model(model, full_check=True)
    except (onnx.checker.ValidationError, onnx.shape_inference.InferenceError, ValueError, RuntimeError, TypeError):
        return False
    return True


def _has_schema(op_type: str, version: int) -> bool:
    try:
        onnx.defs.get_schema(op_type, version, "")
    except onnx.defs.SchemaError:
        return False
    return True


def is_standard(model: onnx.ModelProto) -> bool:
    """Whether the checker knows all operators.

    It has no schemas of `com.microsoft`, nor of those that ONNX Runtime has in older operator sets than ONNX.
    """
    functions = {(f.domain, f.name) for f in model.functions}
    versions = {o.domain: o.version for o in model.opset_import}
    nodes = [*model.graph.node, *(n for f in model.functions for n in f.node)]
    while nodes:
        node = nodes.pop()
        is_known = node.domain in ("", "ai.onnx.ml") or (node.domain, node.op_type) in functions
        if not is_known or (node.domain == "" and not _has_schema(node.op_type, versions.get("", 1))):
            return False
        nodes += [n for a in node.attribute if a.HasField("g") for n in a.g.node]
    return True
