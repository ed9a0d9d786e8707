"""Where a narrow type misses the suite's tolerance: who is further from what float64 computes?

The suite's tolerance of 1e-3 is two units in the last place of float16, and its expected outputs are
themselves rounded after every operator. A fused operator that rounds less often may be further from
*them* than that, and nearer to the truth.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import onnx
from fuzz.mutate import retype
from onnx.reference import ReferenceEvaluator

_WIDER = {onnx.TensorProto.FLOAT16: onnx.TensorProto.DOUBLE, onnx.TensorProto.FLOAT: onnx.TensorProto.DOUBLE}


def is_no_further(model: bytes, inputs: list[Any], expected: list[Any], actual: list[Any]) -> bool:
    """Whether every float16 output's largest error against float64 is at most that of the expected one."""
    wide = onnx.load_model_from_string(model)
    retype(wide, _WIDER)
    names = [v.name for v in wide.graph.input]
    feeds = {n: _widened(v) for n, v in zip(names, inputs, strict=False)}
    with np.errstate(all="ignore"):
        truth = list(ReferenceEvaluator(wide).run(None, feeds))
    return all(_is_good(t, e, a) for t, e, a in zip(truth, expected, actual, strict=True))


def _is_good(truth: Any, expected: Any, actual: Any) -> bool:
    if not isinstance(expected, np.ndarray) or expected.dtype != np.float16:
        return bool(np.array_equal(expected, actual))
    if expected.shape != actual.shape or not np.array_equal(np.isfinite(expected), np.isfinite(actual)):
        return False
    finite = np.isfinite(expected)
    errors = [np.max(np.abs(v[finite].astype(np.float64) - truth[finite]), initial=0.0) for v in (actual, expected)]
    return bool(errors[0] <= errors[1])


def _widened(value: Any) -> Any:
    is_float = isinstance(value, np.ndarray) and value.dtype.kind == "f"
    return value.astype(np.float64) if is_float else value
