"""Whether two models that differ beyond the tolerance differ by rounding alone.

Random models are badly conditioned more often than real ones: they take the difference of equal
numbers, divide by it, and round it to an integer. Two tests, either of which excuses a difference;
neither is asked where only EXACT rewrites were made.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import onnx
from onnx import numpy_helper
from reference import CONTRIB, CORRECTED

from fuzz.engine import CannotRun, Feeds, run
from fuzz.mutate import retype
from ncgopt.verify.tolerance import RELATIVE

_TP = onnx.TensorProto
_TO_DOUBLE = {_TP.FLOAT: _TP.DOUBLE, _TP.FLOAT16: _TP.DOUBLE}
_NUDGES = 12
_FACTOR = 8.0
_HUGE = 1e15


def is_rounding(original: onnx.ModelProto, result: onnx.ModelProto, feeds: Feeds, at: int) -> bool:
    """Whether output number `at` agrees in float64, or the original moves as far when its data move by roundings.

    A weight that comes to more than its type holds where it is folded is such a rounding too; it takes
    weights as large as none has that was not made so on purpose.
    """
    if any(np.abs(_finite(numpy_helper.to_array(t))).max(initial=0.0) > _HUGE for t in original.graph.initializer):
        return True
    return _agree_in_double(original, result, feeds, at) or _is_noise(original, result, feeds, at)


def _finite(array: np.ndarray) -> np.ndarray:
    """The finite numbers of a float tensor; nothing of others."""
    return array[np.isfinite(array)] if array.dtype.kind == "f" else np.zeros(0)


def _agree_in_double(original: onnx.ModelProto, result: onnx.ModelProto, feeds: Feeds, at: int) -> bool:
    """In float64 only the constants that were folded, and rounded to the model's type, are left to differ."""
    try:
        x, y = (_run_in_double(model, feeds)[at] for model in (original, result))
    except CannotRun:
        return False
    x, y = np.asarray(x), np.asarray(y)
    if x.dtype != y.dtype or x.shape != y.shape:
        return False
    if x.dtype.kind != "f":
        return bool(np.array_equal(x, y))
    finite = np.isfinite(x)
    if not np.array_equal(finite, np.isfinite(y)) or not np.array_equal(x[~finite], y[~finite], equal_nan=True):
        return False
    scale = float(np.max(np.abs(x[finite]), initial=0.0))
    limit = RELATIVE["float16"] if _TP.FLOAT16 in _types(original) else 1e-5
    return bool(np.all(np.abs(x[finite] - y[finite]) <= limit * scale))


def _run_in_double(model: onnx.ModelProto, feeds: Feeds) -> list[Any]:
    wide = onnx.ModelProto()
    wide.CopyFrom(model)
    retype(wide, _TO_DOUBLE)
    given = {k: v.astype(np.float64) if v.dtype.kind == "f" else v for k, v in feeds.items()}
    try:
        return run(wide, given)
    except CannotRun:
        return run_by_reference(wide, given)


def run_by_reference(model: onnx.ModelProto, feeds: Feeds) -> list[Any]:
    """Outputs on onnx's reference implementation.

    Raises:
        CannotRun: it does not run the model, or not on these feeds.
    """
    try:
        with np.errstate(all="ignore"):
            evaluator = onnx.reference.ReferenceEvaluator(model, new_ops=[*CONTRIB, *CORRECTED])
            return list(evaluator.run(None, feeds))
    except Exception as error:  # it raises whatever numpy raises: no second opinion then
        raise CannotRun(str(error)) from error


def _is_noise(original: onnx.ModelProto, result: onnx.ModelProto, feeds: Feeds, at: int) -> bool:
    """The original against itself, its data moved by a few units in the last place, a dozen times."""
    try:
        x, y = run(original, feeds)[at], run(result, feeds)[at]
        moved = [run(*_nudged(original, feeds, seed))[at] for seed in range(_NUDGES)]
        moved.append(run(original, feeds, optimize=True)[at])
    except CannotRun:
        return False
    arrays = [np.asarray(v) for v in (x, y, *moved)]
    if any(a.shape != arrays[0].shape for a in arrays) or arrays[0].dtype.kind not in "fiub":
        return False
    base, other, *noisy = (a.astype(np.float64) for a in arrays)
    with np.errstate(all="ignore"):
        noise = max((_distance(base, n) for n in noisy), default=0.0)
        return _distance(base, other) <= _FACTOR * noise


def _distance(x: np.ndarray, y: np.ndarray) -> float:
    """Largest absolute difference; infinite where one is finite and the other is not."""
    same = (x == y) | (np.isnan(x) & np.isnan(y))
    return float(np.max(np.where(same, 0.0, np.nan_to_num(np.abs(x - y), nan=np.inf)), initial=0.0))


def _nudged(model: onnx.ModelProto, feeds: Feeds, seed: int) -> tuple[onnx.ModelProto, Feeds]:
    rng = np.random.default_rng(seed)
    copy = onnx.ModelProto()
    copy.CopyFrom(model)
    for tensor in copy.graph.initializer:
        tensor.CopyFrom(numpy_helper.from_array(_nudge(numpy_helper.to_array(tensor), rng), tensor.name))
    return copy, {name: _nudge(value, rng) for name, value in feeds.items()}


def _nudge(array: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Floats moved by up to two units in the last place; small integers and simple fractions in constants stay."""
    if array.dtype.kind != "f":
        return array
    with np.errstate(all="ignore"):
        steps = rng.integers(-2, 3, array.shape) * np.spacing(np.abs(array))
        return np.where(np.isfinite(steps), array + steps, array).astype(array.dtype)


def _types(model: onnx.ModelProto) -> set[int]:
    tensors = [v.type.tensor_type.elem_type for v in (*model.graph.input, *model.graph.output)]
    return {*tensors, *(t.data_type for t in model.graph.initializer)}
