"""How good a pruned model still is, next to the original on the same data."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeAlias

import numpy as np
import numpy.typing as npt

from ncgopt.errors import GateNotMet, Inconclusive, Usage
from ncgopt.prune.calibration import Data, batches, load_function
from ncgopt.runtime.process import Worker, WorkerDied
from ncgopt.runtime.session import OrtError, Session, open_session
from ncgopt.runtime.stage import stage
from ncgopt.verify.inputs import Survey

Array: TypeAlias = npt.NDArray[Any]

_THREADS = 2
_TOGETHER = 8  # models that run side by side


@dataclass(frozen=True)
class Quality:
    """The metric for the original and for the pruned model.

    Attributes:
        metric: its name.
        original, pruned: what it gives; agreement of the original with itself is 1, its error 0.
        drop: quality lost, 0 and more for the built-in ones; negative where a labelled or user's metric rose.
        samples: on which it was measured.
        others: the built-in metrics, all of them: `top1` (agreement), `cosine`, `mse` (relative to the variance of the
            original's output).
    """

    metric: str
    original: float
    pruned: float
    drop: float
    samples: int
    others: Mapping[str, float]


@dataclass
class _Tally:
    """Sums for one pruned model over all batches."""

    agreed: int = 0
    decisions: int = 0
    cosine: float = 0.0
    rows: int = 0
    error: float = 0.0
    right: int = 0
    labelled: int = 0
    outputs: list[dict[str, Array]] = field(default_factory=list[dict[str, Array]])


def evaluate(
    original: Path, candidates: Sequence[Path], data: Data, survey: Survey, metric: str, worker: Worker
) -> list[Quality]:
    """The quality of each candidate.

    Raises:
        Inconclusive: one of the models does not run on the data.
        Usage: the metric cannot be computed: no float output, no labels, a function that fails or gives no number.
        GateNotMet: the metric of a pruned model is NaN.
    """
    found: list[Quality] = []
    for start in range(0, len(candidates), _TOGETHER):
        part = list(candidates[start : start + _TOGETHER])
        try:
            found += worker.call("ncgopt.prune.quality:measure", original, part, data, survey, metric)
        except (OrtError, WorkerDied) as error:
            raise Inconclusive(f"the quality cannot be measured: {error}") from error
    return found


def measure(original: Path, candidates: Sequence[Path], data: Data, survey: Survey, metric: str) -> list[Quality]:
    """Run in the child: original and candidates on each batch; raises as `evaluate` does, and OrtError."""
    sessions = [open_session(path, optimize=True, threads=_THREADS) for path in (original, *candidates)]
    custom = ":" in metric
    base, tallies = _Tally(), [_Tally() for _ in candidates]
    labels: list[Array] = []
    square = total = 0.0
    count = samples = 0
    for batch in batches(data, survey):
        stage(f"measuring quality ({samples} samples)")
        results = [_run(session, batch.feeds) for session in sessions]
        first = _main_output(results[0])
        square += float((first.astype(np.float64) ** 2).sum())
        total += float(first.sum(dtype=np.float64))
        count += first.size
        samples += batch.count
        if batch.labels is not None:
            labels.append(batch.labels)
        for tally, outputs in zip((base, *tallies), results, strict=True):
            _add(tally, first, _main_output(outputs), batch.labels if metric == "top1" else None)
            if custom:
                tally.outputs.append(outputs)
    variance = max(square / max(count, 1) - (total / max(count, 1)) ** 2, 1e-30)
    function = load_function(metric, data.folder) if custom else None
    gathered = np.concatenate(labels) if labels else None
    reference = _custom(metric, function, base, gathered, "the original") if custom else 0.0
    found: list[Quality] = []
    for tally in tallies:
        others = {
            "top1": tally.agreed / max(tally.decisions, 1),
            "cosine": tally.cosine / max(tally.rows, 1),
            "mse": tally.error / max(count, 1) / variance,
        }
        if custom:
            pruned = _custom(metric, function, tally, gathered, "the pruned model")
            values = (reference, pruned, reference - pruned)
        else:
            values = _built_in(metric, base, tally, others)
        if not all(math.isfinite(value) for value in values):
            raise GateNotMet(f"metric {metric} is NaN for the pruned model; nothing was written")
        found.append(Quality(metric, *values, samples, others))
    return found


def _built_in(metric: str, base: _Tally, tally: _Tally, others: Mapping[str, float]) -> tuple[float, float, float]:
    if metric == "top1" and tally.labelled:
        before, after = base.right / base.labelled, tally.right / tally.labelled
        return before, after, before - after
    if metric == "mse":
        return 0.0, others["mse"], others["mse"]
    return 1.0, others[metric], 1.0 - others[metric]


def _custom(metric: str, function: Any, tally: _Tally, labels: Array | None, whose: str) -> float:
    """What the user's function gives for `{output: array}` (a list of arrays where batches differ in shape), labels."""
    outputs: dict[str, object] = {}
    for name in tally.outputs[0]:
        parts = [one[name] for one in tally.outputs]
        same = len({part.shape[1:] for part in parts}) == 1 and parts[0].ndim > 0
        outputs[name] = np.concatenate(parts) if same else parts
    try:
        value = float(function(outputs, labels))
    except Exception as error:  # the user's code may raise anything
        raise Usage(f"metric {metric} failed: {type(error).__name__}: {error}") from error
    if not math.isfinite(value):
        raise Usage(f"metric {metric} returned {value} for {whose}; nothing was written")
    return value


def _run(session: Session, feeds: Mapping[str, Array]) -> dict[str, Array]:
    names = [port.name for port in session.outputs]
    values = session.run(feeds)
    return {name: value for name, value in zip(names, values, strict=True) if isinstance(value, np.ndarray)}


def _main_output(outputs: Mapping[str, Array]) -> Array:
    """The first output of floats, which is what the built-in metrics compare."""
    for value in outputs.values():
        if value.dtype.kind == "f" and value.size:
            return value
    raise Usage("the model has no output of floats to compare; use --metric module:function")


def _add(tally: _Tally, first: Array, own: Array, labels: Array | None) -> None:
    if first.shape != own.shape:
        raise Usage(f"the pruned model gives shape {list(own.shape)}, the original {list(first.shape)}")
    left, right = first.astype(np.float64), own.astype(np.float64)
    if left.ndim:
        decided = right.argmax(axis=-1)
        tally.agreed += int((left.argmax(axis=-1) == decided).sum())
        tally.decisions += decided.size
        if labels is not None:
            if decided.shape != labels.shape:
                raise Usage(f"top1 decides {list(decided.shape)}, but there are labels of shape {list(labels.shape)}")
            tally.right += int((decided == labels).sum())
            tally.labelled += labels.size
    rows, others = left.reshape(len(left) if left.ndim else 1, -1), right.reshape(len(right) if right.ndim else 1, -1)
    norms = np.linalg.norm(rows, axis=1) * np.linalg.norm(others, axis=1)
    products = (rows * others).sum(axis=1)
    same = (rows == others).all(axis=1)
    tally.cosine += sum(
        float(product / norm) if norm > 0 else float(equal)
        for product, norm, equal in zip(products.tolist(), norms.tolist(), same.tolist(), strict=True)
    )
    tally.rows += len(rows)
    tally.error += float(((rows - others) ** 2).sum())


def gate(quality: Quality, max_drop: float | None) -> bool:
    """Whether the quality is good enough."""
    return max_drop is None or quality.drop <= max_drop
