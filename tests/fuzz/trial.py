"""One random model through ncgopt, for both targets: valid, the same interface, the same outputs."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import numpy as np
import onnx
from semantics import equal

from fuzz.engine import CannotRun, Feeds, feeds_for, is_standard, is_valid, run, symbols_of
from fuzz.generate import Draft, NoModel, generate
from fuzz.optimizing import MEMORY, Optimized, optimize, without_guard
from fuzz.rounding import is_rounding, run_by_reference

TARGETS = ("onnx", "onnxruntime")
_SIZES = (1, 2, 3, 0, 9, 5)
_MEMORY_EVERY = 10  # models; asking ONNX Runtime for peaks takes longer than all the rest


@dataclass(frozen=True)
class Failure:
    """What went wrong: `kind` is crash, invalid, interface, mismatch or unstable."""

    kind: str
    target: str
    detail: str

    @property
    def key(self) -> tuple[str, str]:
        """What a smaller model has to share with this one."""
        return self.kind, self.target


@dataclass
class Result:
    """What became of model number `index`.

    Attributes:
        skipped: why there was nothing to compare; empty otherwise.
        fired: how often each rule and pass fired, per target.
        rounding: outputs that differed beyond the tolerance, as rounding alone makes them differ.
    """

    index: int
    nodes: int = 0
    skipped: str = ""
    fired: dict[str, dict[str, int]] = field(default_factory=dict)
    compared: int = 0
    rounding: int = 0
    failures: list[Failure] = field(default_factory=list)
    story: list[str] = field(default_factory=list)


def try_index(seed: int, index: int, only: str = "", guard: tuple[str, str] | None = None) -> Result:
    """Make the model, optimize it and compare; with one guard of a rule left out where `guard` names one."""
    try:
        draft = generate(seed, index, only)
    except NoModel as error:
        return Result(index, skipped=str(error))
    if guard is None:
        return try_draft(draft, index)
    with without_guard(*guard):
        return try_draft(draft, index)


def run_original(seed: int, index: int) -> None:
    """All that `try_index` does before ncgopt has a part in it: some models crash ONNX Runtime as they are."""
    try:
        draft = generate(seed, index)
    except NoModel:
        return
    for case in feeds_of(draft.model, draft.sizes, draft.kind, index):
        _answer(draft.model, case)


def try_draft(draft: Draft, index: int) -> Result:
    """Optimize and compare for both targets."""
    result = Result(index, len(draft.model.graph.node), story=draft.story)
    if _hangs_on_order(draft.model.graph):
        result.skipped = "what it computes hangs on the order of execution"
        return result
    cases = feeds_of(draft.model, draft.sizes, draft.kind, index)
    answers = [answer for feeds in cases if (answer := _answer(draft.model, feeds)) is not None]
    if not answers:
        result.skipped = "random, or runs on no feeds"
        return result
    for target in TARGETS if index % _MEMORY_EVERY else (*TARGETS, MEMORY):
        failure = examine(draft.model, target, answers, result)
        if failure is not None:
            result.failures.append(failure)
    return result


def _hangs_on_order(graph: onnx.GraphProto) -> bool:
    """Whether something reads statistics that a layer in training writes over, before or after it does."""
    written = {
        name
        for node in graph.node
        if node.op_type == "BatchNormalization" and any(a.name == "training_mode" and a.i for a in node.attribute)
        for name in node.input[3:]
    }
    reads = [name for node in graph.node for name in node.input]
    return any(reads.count(name) > 1 for name in written)


def feeds_of(model: onnx.ModelProto, sizes: dict[str, int], kind: str, index: int) -> list[tuple[str, Feeds]]:
    """Feeds of all kinds at the sizes that the model was grown with, and some at others.

    Inputs with a default are given a value in one of them.
    """
    symbols = symbols_of(model)
    other = {s: _SIZES[(index + i) % len(_SIZES)] for i, s in enumerate(symbols)}
    third = {s: _SIZES[(index + 2 * i + 3) % len(_SIZES)] for i, s in enumerate(symbols)}
    found = [
        (kind, feeds_for(model, sizes, kind, 1)) for kind in dict.fromkeys((kind, "normal", "integers", "special"))
    ]
    if symbols:
        found += [
            (k, feeds_for(model, s, k, 2)) for s, k in ((other, "special"), (other, "normal"), (third, "integers"))
        ]
    defaults = {t.name: t for t in model.graph.initializer}
    overridden = {
        v.name: _moved(onnx.numpy_helper.to_array(defaults[v.name])) for v in model.graph.input if v.name in defaults
    }
    if overridden:
        found.append((kind, {**found[0][1], **overridden}))
    return found


def _moved(array: np.ndarray) -> np.ndarray:
    """Another value of the same type and shape, and not far from the first."""
    if array.dtype.kind == "b":
        return ~array
    if array.dtype.kind not in "fiu":
        return array
    with np.errstate(all="ignore"):
        return (array + np.ones_like(array)).astype(array.dtype)


def _answer(model: onnx.ModelProto, case: tuple[str, Feeds]) -> tuple[str, Feeds, list[Any]] | None:
    """The original's outputs; None where it does not run, or gives others when it runs again."""
    kind, feeds = case
    try:
        first, second = run(model, feeds), run(model, feeds, times=2)
    except CannotRun:
        return None
    return None if any(_differs(x, y, True) for x, y in zip(first, second, strict=True)) else (kind, feeds, first)


def examine(
    model: onnx.ModelProto, target: str, answers: list[tuple[str, Feeds, list[Any]]], result: Result
) -> Failure | None:
    """What is wrong with the optimized model, if anything."""
    try:
        optimized = optimize(model, target)
    except Exception as error:  # whatever it raises on a model that runs is what we look for
        return Failure("crash", target, f"{type(error).__name__}: {error}"[:500])
    result.fired[target] = dict(optimized.fired)
    if optimized.faults:
        return Failure("crash", target, f"left out, as it failed: {optimized.faults[0]}")
    if optimized.broken:
        return Failure("interface", target, optimized.broken[0])
    if is_standard(model) and is_standard(optimized.model) and is_valid(model) and not is_valid(optimized.model):
        return Failure("invalid", target, "the checker refuses the result")
    failure = _compared(model, optimized, target, answers, result)
    if (
        failure is None and target == TARGETS[result.index % len(TARGETS)]
    ):  # one of them, as it costs as much as the first
        failure = _unstable(optimized, target)
    return failure


def _compared(
    model: onnx.ModelProto,
    optimized: Optimized,
    target: str,
    answers: list[tuple[str, Feeds, list[Any]]],
    result: Result,
) -> Failure | None:
    if not optimized.rewrites:
        return None
    for kind, feeds, expected in answers:
        if kind == "special" and not optimized.is_exact:
            continue  # other rules may do with infinities what the real numbers, which have none, allow
        if optimized.is_ranged and not (all(_is_plain(v) for v in feeds.values()) and all(map(_is_plain, expected))):
            continue
        try:
            actual = run(optimized.model, feeds)
        except CannotRun as error:
            if _is_lenient(model, feeds):
                continue
            return Failure("invalid", target, f"only the original runs: {error}"[:500])
        result.compared += 1
        for at, (x, y) in enumerate(zip(expected, actual, strict=True)):
            if not (complaint := _differs(x, y, optimized.is_exact)):
                continue
            if _is_excused(model, optimized, feeds, at, (x, y)):
                result.rounding += 1
                continue
            name = model.graph.output[at].name
            return Failure("mismatch", target, f"{name}, {kind}: {complaint}; {', '.join(optimized.fired)}"[:700])
    return None


def _is_excused(model: onnx.ModelProto, optimized: Optimized, feeds: Feeds, at: int, outputs: tuple[Any, Any]) -> bool:
    """Whether rounding explains a difference; where bits were promised, whether that of ONNX Runtime alone does.

    It computes float16 in float32 and does not round between neighbours, so that where a subgraph or a
    constant begins shows in the bits. onnx's reference rounds after every operator: there they must agree.
    """
    expected, actual = outputs
    if not optimized.is_exact and _holds_infinities(model) and _equal_where_finite(expected, actual):
        return True  # the real numbers, which the claim is about, have no infinities
    if not optimized.is_exact:
        return is_rounding(model, optimized.model, feeds, at)
    if not isinstance(expected, np.ndarray) or expected.dtype != np.float16:
        return False
    try:
        x, y = (run_by_reference(m, feeds)[at] for m in (model, optimized.model))
    except CannotRun:
        return is_rounding(model, optimized.model, feeds, at)
    return not _differs(x, y, True)


def _holds_infinities(model: onnx.ModelProto) -> bool:
    """Whether a weight of the model is infinite or NaN."""
    arrays = (onnx.numpy_helper.to_array(tensor) for tensor in model.graph.initializer)
    return any(array.dtype.kind == "f" and not np.isfinite(array).all() for array in arrays)


def _equal_where_finite(expected: Any, actual: Any) -> bool:
    """Whether two outputs are finite in the same places and equal there."""
    if not isinstance(expected, np.ndarray) or not isinstance(actual, np.ndarray) or expected.dtype.kind != "f":
        return False
    finite = np.isfinite(expected)
    if expected.shape != actual.shape or not np.array_equal(finite, np.isfinite(actual)):
        return False
    return equal(expected[finite], actual[finite], False)


def _is_plain(value: Any) -> bool:
    """Whether a value is inside of what RANGED rules are about: not empty, and finite."""
    array = np.asarray(value) if not isinstance(value, list) else np.zeros(1)
    return array.size > 0 and (array.dtype.kind != "f" or bool(np.isfinite(array).all()))


def _is_lenient(model: onnx.ModelProto, feeds: Feeds) -> bool:
    """Whether ONNX Runtime alone takes these feeds: it does not look at the other sizes of empty tensors."""
    if all(np.asarray(value).size for value in feeds.values()):
        return False
    try:
        run_by_reference(model, feeds)
    except CannotRun:
        return True
    return False


def _unstable(optimized: Optimized, target: str) -> Failure | None:
    """A second run must find nothing left to do."""
    try:
        again = optimize(optimized.model, target)
    except Exception as error:
        return Failure("crash", target, f"on its own result: {type(error).__name__}: {error}"[:500])
    return Failure("unstable", target, ", ".join(again.fired)) if again.rewrites else None


def _differs(x: Any, y: Any, exact: bool) -> str:
    """How two outputs differ; empty where they do not."""
    if isinstance(x, list) or isinstance(y, list):
        if not isinstance(x, list) or not isinstance(y, list) or len(x) != len(y):
            return "another sequence"
        return next((d for a, b in zip(x, y, strict=True) if (d := _differs(a, b, exact))), "")
    if x is None or y is None:
        return "" if x is y else "nothing on one side"
    a, b = np.asarray(x), np.asarray(y)
    if a.dtype != b.dtype or a.shape != b.shape:
        return f"{b.dtype}{b.shape} instead of {a.dtype}{a.shape}"
    return "" if equal(a, b, exact) else f"{b.ravel()[:12].tolist()} instead of {a.ravel()[:12].tolist()}"
