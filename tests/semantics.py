"""Whether two small models compute the same: on ONNX Runtime and on onnx's reference implementation.

Feeds tile special values (signed zeros, infinities, NaN, denormals, integer extremes) over the
symbolic dims 0, 1, 2 and 9: plain random draws miss -0.0.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterator

import numpy as np
import onnx
import onnxruntime as ort
from onnx.reference import ReferenceEvaluator
from reference import CONTRIB, CORRECTED

from ncgopt.rewrite import Claim
from ncgopt.verify.tolerance import RELATIVE

Feeds = dict[str, np.ndarray]
Outputs = list[object]

_SPECIAL = [0.0, -0.0, 1.0, -1.0, np.inf, -np.inf, np.nan, 1e-40, -3.5, 2.0, 6.5, 1e30]
_SIZES = (0, 1, 2, 9)
ORT_ERRORS = (
    RuntimeError,  # element types that its Python binding cannot pass (bfloat16, float8)
    ort.capi.onnxruntime_pybind11_state.Fail,
    ort.capi.onnxruntime_pybind11_state.InvalidArgument,
    ort.capi.onnxruntime_pybind11_state.RuntimeException,
    ort.capi.onnxruntime_pybind11_state.InvalidGraph,
    ort.capi.onnxruntime_pybind11_state.NotImplemented,
)
# The reference implementation reports what it cannot do in many ways; each means "no second opinion".
_REFERENCE_ERRORS = (
    RuntimeError,
    NotImplementedError,
    TypeError,
    ValueError,
    IndexError,
    KeyError,
    AttributeError,
    ZeroDivisionError,
)


class CannotRun(Exception):
    """The engine refuses the model or the feeds."""


def run_ort(model: onnx.ModelProto, feeds: Feeds) -> Outputs:
    """Outputs with all graph optimizations off."""
    options = ort.SessionOptions()
    options.graph_optimization_level = ort.GraphOptimizationLevel.ORT_DISABLE_ALL
    options.log_severity_level = 4
    options.intra_op_num_threads = 1
    try:
        session = ort.InferenceSession(model.SerializeToString(), options, providers=["CPUExecutionProvider"])
        names = {i.name for i in session.get_inputs()}
        return session.run(None, {k: v for k, v in feeds.items() if k in names})
    except ORT_ERRORS as error:
        raise CannotRun(str(error)) from error


def run_reference(model: onnx.ModelProto, feeds: Feeds) -> Outputs:
    """Outputs of onnx's ReferenceEvaluator, extended by our implementations of contrib operators."""
    try:
        with np.errstate(all="ignore"):
            return ReferenceEvaluator(model, new_ops=[*CONTRIB, *CORRECTED]).run(None, feeds)
    except _REFERENCE_ERRORS as error:
        raise CannotRun(str(error)) from error


def feeds_for(model: onnx.ModelProto, claim: Claim) -> Iterator[Feeds]:
    """Feeds over several sizes: special values where EXACT is claimed, integers and normal draws always."""
    defaults = {t.name for t in model.graph.initializer}
    inputs = [v for v in model.graph.input if v.name not in defaults]
    symbols = sorted({d.dim_param for v in inputs for d in v.type.tensor_type.shape.dim if d.dim_param})
    sizes = itertools.product(_SIZES, repeat=min(len(symbols), 2)) if symbols else [()]
    kinds = ("special", "integers", "normal") if claim is Claim.EXACT else ("integers", "normal")
    for chosen in sizes:
        binding = dict(zip(symbols, itertools.cycle(chosen), strict=False)) if symbols else {}
        for kind in kinds:
            rng = np.random.default_rng(len(kind) + sum(binding.values()))
            yield {v.name: draw(v, binding, kind, rng) for v in inputs}


def differences(
    a: onnx.ModelProto, b: onnx.ModelProto, claim: Claim, *, bit_equal_on_integers: bool = False
) -> tuple[int, list[str]]:
    """Runs in which the original answered, each to be compared, and what differed, one line each."""
    compared, found = 0, []
    for feeds in feeds_for(a, claim):
        for engine in (run_ort, run_reference):
            try:
                expected = engine(a, feeds)
            except CannotRun:
                continue
            compared += 1
            try:
                actual = engine(b, feeds)
            except CannotRun as error:
                found.append(f"{engine.__name__}: only the rewritten model cannot run: {error}")
                continue
            whole = all(np.array_equal(v, np.round(v)) for v in feeds.values() if v.dtype.kind == "f")
            exact = claim is Claim.EXACT or (bit_equal_on_integers and whole)
            found += [f"{engine.__name__}: {d}" for d in _compare(expected, actual, exact)]
    return compared, found


def _compare(expected: Outputs, actual: Outputs, exact: bool) -> Iterator[str]:
    if len(expected) != len(actual):
        yield f"{len(actual)} outputs instead of {len(expected)}"
    for index, (x, y) in enumerate(zip(expected, actual, strict=False)):
        x, y = np.asarray(x), np.asarray(y)
        if x.dtype != y.dtype or x.shape != y.shape:
            yield f"output {index}: {y.dtype}{y.shape} instead of {x.dtype}{x.shape}"
        elif not equal(x, y, exact):
            yield f"output {index}: {y.tolist()} instead of {x.tolist()}"[:300]


def equal(x: np.ndarray, y: np.ndarray, exact: bool) -> bool:
    """Bit for bit (payloads of NaN aside), or within the dtype's tolerance relative to the scale of `x`."""
    if x.dtype.kind not in "fc" and x.dtype.kind != "V" and x.dtype.name != "bfloat16":
        return bool(np.array_equal(x, y))
    nan = np.isnan(x)
    if not np.array_equal(nan, np.isnan(y)):
        return False
    x, y = np.where(nan, 0, x).astype(x.dtype), np.where(nan, 0, y).astype(y.dtype)
    if exact:
        return x.tobytes() == y.tobytes()
    infinite = np.isinf(x)
    if not np.array_equal(np.where(infinite, x, 0), np.where(np.isinf(y), y, 0)):
        return False
    x64, y64 = np.where(infinite, 0, x).astype(np.float64), np.where(infinite, 0, y).astype(np.float64)
    scale = float(np.max(np.abs(x64), initial=0.0))
    return bool(np.all(np.abs(x64 - y64) <= RELATIVE[x.dtype.name] * scale))


def draw(value: onnx.ValueInfoProto, binding: dict[str, int], kind: str, rng: np.random.Generator) -> np.ndarray:
    """Data for one input: `special` values, small `integers` or `normal` draws, in the input's type."""
    tensor = value.type.tensor_type
    dims = [d.dim_value if d.HasField("dim_value") else binding.get(d.dim_param, 2) for d in tensor.shape.dim]
    dtype = onnx.helper.tensor_dtype_to_np_dtype(tensor.elem_type)
    size = int(np.prod(dims, dtype=np.int64))
    if dtype == np.dtype(object):
        return np.resize(np.array(["", "a", "Zürich"], dtype=object), dims)
    if dtype == np.bool_:
        return np.resize(np.array([True, False, False]), dims)
    if dtype.kind in "iu":
        extremes = [0, 1, 2, np.iinfo(dtype).max, np.iinfo(dtype).min] if kind == "special" else [0, 1, 2, 3, 1]
        return np.resize(np.array(extremes, dtype=dtype), dims)
    if kind == "special":
        start = int(rng.integers(len(_SPECIAL)))
        with np.errstate(over="ignore"):
            return np.resize(np.roll(np.array(_SPECIAL), start).astype(dtype), dims)
    drawn = rng.integers(-4, 5, size) if kind == "integers" else rng.standard_normal(size)
    return np.asarray(drawn).reshape(dims).astype(dtype)
