"""One comparison of two models on inputs that are given; a verification makes many, on inputs that it finds.

Runs in the child process.
"""

from __future__ import annotations

import contextlib
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path

from ncgopt.report import OutputDifference
from ncgopt.runtime.session import Array, LoadError, OrtError, RunError, Session, Value, open_session
from ncgopt.runtime.stage import stage
from ncgopt.settings import VerifySettings
from ncgopt.verify.compare import compare_outputs, excess
from ncgopt.verify.mapped import MappedModels
from ncgopt.verify.userfeeds import read_arrays

AFTER = "running the result"
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


def compare(
    before: Path,
    after: Path,
    feeds: Path,
    settings: VerifySettings,
    quantizes: bool,
    limits: Mapping[str, float] | None = None,
) -> Comparison:
    """Run both, as a verification does: `before` with optimizations off, `after` with them off and on.

    Args:
        before: what is right.
        after: what is judged.
        feeds: inputs for both, as `save_feeds` writes them.
        settings: providers and custom operators.
        quantizes: whether the model contains quantizing operators, see `tolerance.py`.
        limits: per output the least that it may differ by, where a verification has measured noise.
    """
    with contextlib.closing(MappedModels()) as models:
        return _compare(
            models.path_of(before), models.path_of(after), given_in(feeds), settings, quantizes, limits or {}
        )


def _compare(
    before: Path,
    after: Path,
    given: Mapping[str, Array],
    settings: VerifySettings,
    quantizes: bool,
    allowed: Mapping[str, float],
) -> Comparison:
    right: Mapping[str, Value] | None = None
    level = False
    for level in (False, True):
        try:
            right = outputs_of(before, "running the original", given, level, settings)
            break
        except OrtError:
            continue
    if right is None:
        return Comparison(False)
    found = Comparison(True)
    for optimize in (False, True):
        name = "enable-all" if optimize else "disable-all"
        try:
            result = outputs_of(after, AFTER, given, optimize, settings)
        except OrtError as error:
            if optimize != level and _fails(before, given, optimize, settings):
                continue
            return Comparison(True, name, str(error))
        missing = [output for output in right if output not in result]
        if missing:
            return Comparison(True, name, f"output {missing[0]} is missing")
        ordered = [result[output] for output in right]
        differences = compare_outputs(tuple(right), tuple(right.values()), ordered, quantizes=quantizes)
        worst = max((replace(d, limit=max(d.limit, allowed.get(d.output, 0.0))) for d in differences), key=excess)
        if found.worst is None or excess(worst) > excess(found.worst):
            found = Comparison(True, name, "", worst)
    return found


def outputs_of(
    path: Path, doing: str, feeds: Mapping[str, Array], optimize: bool, settings: VerifySettings
) -> dict[str, Value]:
    """What a model computes, per output; `doing` is what it is called should it crash.

    Raises:
        OrtError: it does not load, or does not run on these inputs.
    """
    stage(f"{doing}, optimizations {'on' if optimize else 'off'}")
    session = open_session(
        path, optimize=optimize, custom_ops=settings.custom_ops, providers=settings.providers, arena=False
    )
    return dict(zip((port.name for port in session.outputs), _run(session, feeds), strict=True))


def _run(session: Session, feeds: Mapping[str, Array]) -> list[Value]:
    lacking = [port.name for port in session.inputs if port.name not in feeds]
    if lacking:
        raise RunError(f"no data for input {lacking[0]}")
    return session.run(feeds)


def _fails(path: Path, feeds: Mapping[str, Array], optimize: bool, settings: VerifySettings) -> bool:
    try:
        outputs_of(path, "running the original", feeds, optimize, settings)
    except (LoadError, RunError):
        return True
    return False


def given_in(feeds: Path) -> dict[str, Array]:
    """The inputs in a file, as sessions take them; none where there is no file."""
    arrays = read_arrays(feeds) if feeds.exists() else {}
    return {name: array.astype(object) if array.dtype.kind in "US" else array for name, array in arrays.items()}
