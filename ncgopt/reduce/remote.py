"""The part of a reduction that runs models, in the child process."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import onnx

from ncgopt.reduce.specimen import read_model
from ncgopt.report import OutputDifference
from ncgopt.runtime.session import Array, LoadError, OrtError, RunError, Session, Value, open_session
from ncgopt.runtime.stage import stage
from ncgopt.settings import VerifySettings
from ncgopt.verify.compare import compare_outputs, excess
from ncgopt.verify.userfeeds import read_arrays, save_feeds

AFTER = "running the model after the rewrite"
"""What the child says it does when the result takes it down."""


@dataclass(frozen=True)
class Comparison:
    """What came of running the model before and after the rewrite on the same inputs.

    Attributes:
        usable: whether the model before runs at all; if not, nothing else is said.
        level: optimization level of ONNX Runtime at which the result is worst.
        problem: why the result does not run, where it does not.
        worst: the output furthest from its limit, else.
    """

    usable: bool
    level: str = ""
    problem: str = ""
    worst: OutputDifference | None = None


def compare(before: Path, after: Path, feeds: Path, settings: VerifySettings, quantizes: bool) -> Comparison:
    """Run both, as a verification does: `before` with optimizations off, `after` with them off and on."""
    given = _given(feeds)
    right: Mapping[str, Value] | None = None
    level = False
    for level in (False, True):
        try:
            right = _outputs(before, "running the model before the rewrite", given, level, settings)
            break
        except OrtError:
            continue
    if right is None:
        return Comparison(False)
    found = Comparison(True)
    for optimize in (False, True):
        name = "enable-all" if optimize else "disable-all"
        try:
            result = _outputs(after, AFTER, given, optimize, settings)
        except OrtError as error:
            if optimize != level and _fails(before, given, optimize, settings):
                continue
            return Comparison(True, name, str(error))
        missing = [output for output in right if output not in result]
        if missing:
            return Comparison(True, name, f"output {missing[0]} is missing")
        ordered = [result[output] for output in right]
        differences = compare_outputs(tuple(right), tuple(right.values()), ordered, quantizes=quantizes)
        worst = max(differences, key=excess)
        if found.worst is None or excess(worst) > excess(found.worst):
            found = Comparison(True, name, "", worst)
    return found


def values(model: Path, feeds: Path, names: Sequence[str], settings: VerifySettings, path: Path) -> None:
    """Run `model` and write what `names` hold to `path`; what is no tensor is left out.

    Raises:
        OrtError: it does not run like this.
    """
    stage("computing inner values")
    proto = read_model(model, weights=False)
    declared = {output.name for output in proto.graph.output}
    proto.graph.output.extend(onnx.ValueInfoProto(name=name) for name in names if name not in declared)
    beside = model.with_name("values.onnx")  # external data are found beside it
    beside.write_bytes(proto.SerializeToString())
    given = _given(feeds)
    found: dict[str, Value] = {}
    for level in (False, True):
        try:
            found = _outputs(beside, "computing inner values", given, level, settings)
            break
        except OrtError:
            if level:
                raise
    save_feeds(path, {name: found[name] for name in names if isinstance(found.get(name), np.ndarray)})  # pyright: ignore[reportArgumentType]


def _outputs(
    path: Path, doing: str, feeds: Mapping[str, Array], optimize: bool, settings: VerifySettings
) -> dict[str, Value]:
    stage(f"{doing}, optimizations {'on' if optimize else 'off'}")
    session = open_session(path, optimize=optimize, custom_ops=settings.custom_ops, providers=settings.providers)
    return dict(zip((port.name for port in session.outputs), _run(session, feeds), strict=True))


def _run(session: Session, feeds: Mapping[str, Array]) -> list[Value]:
    lacking = [port.name for port in session.inputs if port.name not in feeds]
    if lacking:
        raise RunError(f"no data for input {lacking[0]}")
    return session.run(feeds)


def _fails(path: Path, feeds: Mapping[str, Array], optimize: bool, settings: VerifySettings) -> bool:
    try:
        _outputs(path, "running the model before the rewrite", feeds, optimize, settings)
    except (LoadError, RunError):
        return True
    return False


def _given(feeds: Path) -> dict[str, Array]:
    arrays = read_arrays(feeds) if feeds.exists() else {}
    return {name: array.astype(object) if array.dtype.kind in "US" else array for name, array in arrays.items()}
