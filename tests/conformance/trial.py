"""One case in a child process: which engines do as the suite expects, and whether they still do afterwards."""

from __future__ import annotations

import tempfile
import warnings
from collections import Counter
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import onnxruntime as ort
from onnx.backend.test.runner import Runner
from onnx.reference import ReferenceEvaluator
from reference import CONTRIB, CORRECTED

from conformance.precision import is_no_further
from conformance.suite import Case
from ncgopt import model as models
from ncgopt.model import Contract
from ncgopt.pipeline.attempt import Attempt
from ncgopt.runtime import Worker
from ncgopt.settings import Settings, Target

ENGINES = ("onnxruntime", "onnxruntime optimizing", "reference")
_OTHER = "other outputs"


def original(case: Case, engine: str) -> str:
    """Empty where `engine` computes what the suite expects of the model as it is; else why not."""
    return _complaint(onnx.load_model_from_string(case.model), case, engine)


@dataclass
class Verdict:
    """What became of one case for one target.

    Attributes:
        complaints: by who made them: an engine, `checker`, `contract`, `crash` or `ncgopt`.
        nearer: engines on which float16 outputs miss the suite's tolerance and are nearer to float64
            than the suite's own.
        rewrites: how often each rule and pass fired.
    """

    complaints: dict[str, str] = field(default_factory=dict)
    nearer: list[str] = field(default_factory=list)
    rewrites: dict[str, int] = field(default_factory=dict)


def optimized(case: Case, target: str, engines: list[str]) -> Verdict:
    """Optimize without verification, which would roll back what is wrong, and look at the result."""
    with tempfile.TemporaryDirectory(prefix="ncgopt-") as folder:
        source, result = Path(folder) / "model.onnx", Path(folder) / "result.onnx"
        source.write_bytes(case.model)
        attempt = Attempt(source, Settings(target=Target(target)), _worker())
        attempt.run()
        models.save(attempt.loaded.model, result)
        model = onnx.load_model(result)
        broken = attempt.contract.differences(Contract.of(result))
    verdict = Verdict(rewrites=dict(Counter(rewrite.source for rewrite in attempt.report.rewrites)))
    if attempt.report.rolled_back:
        verdict.complaints["ncgopt"] = f"left out, as it failed: {attempt.report.rolled_back[0]}"
    if broken:
        verdict.complaints["contract"] = broken[0]
    verdict.complaints |= _checked(onnx.load_model_from_string(case.model), model)
    for engine in engines:
        complaint = _complaint(model, case, engine)
        if complaint.startswith(_OTHER) and _is_nearer(model, case, engine):
            verdict.nearer.append(engine)
        elif complaint:
            verdict.complaints[engine] = complaint
    return verdict


def _is_nearer(model: onnx.ModelProto, case: Case, engine: str) -> bool:
    return all(
        is_no_further(case.model, inputs, expected, _run(model, inputs, engine)) for inputs, expected in case.data
    )


@cache
def _worker() -> Worker:
    return Worker()


def _checked(before: onnx.ModelProto, after: onnx.ModelProto) -> dict[str, str]:
    """What the full checker says of the result and did not say of the original."""
    try:
        onnx.checker.check_model(before, full_check=True)
    except Exception:
        return {}
    try:
        onnx.checker.check_model(after, full_check=True)
    except Exception as error:
        return {"checker": _line(error)}
    return {}


def _complaint(model: onnx.ModelProto, case: Case, engine: str) -> str:
    try:
        for inputs, expected in case.data:
            outputs = _run(model, inputs, engine)
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")
                Runner.assert_similar_outputs(expected, [_listed(v) for v in outputs], case.rtol, case.atol)
    except AssertionError as error:
        return f"{_OTHER}: {_line(error)}"
    except Exception as error:  # whatever an engine raises means that it does not run this model
        return f"does not run: {_line(error)}"
    return ""


def _run(model: onnx.ModelProto, inputs: list[Any], engine: str) -> list[Any]:
    names = [v.name for v in model.graph.input]
    feeds = dict(zip(names, inputs, strict=False))
    if engine == "reference":
        with np.errstate(all="ignore"):
            return list(ReferenceEvaluator(model, new_ops=[*CONTRIB, *CORRECTED]).run(None, feeds))
    options = ort.SessionOptions()
    options.log_severity_level = 4
    options.intra_op_num_threads = 1
    levels = ort.GraphOptimizationLevel
    options.graph_optimization_level = levels.ORT_DISABLE_ALL if engine == "onnxruntime" else levels.ORT_ENABLE_ALL
    session = ort.InferenceSession(model.SerializeToString(), options, providers=["CPUExecutionProvider"])
    known = {v.name for v in session.get_inputs()} | {v.name for v in session.get_overridable_initializers()}
    return session.run(None, {k: v for k, v in feeds.items() if k in known})


def _listed(value: Any) -> Any:
    return value if isinstance(value, list) or value is None else np.asarray(value)


def _line(error: BaseException) -> str:
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    return f"{type(error).__name__}: {' | '.join(lines)}"[:300]
