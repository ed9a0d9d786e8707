"""The part of a verification that runs in the child process: sessions, feeds, comparisons.

One session is open at a time, so that a check needs no more memory than one copy of the weights;
the original's outputs are kept until the next original is recorded.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import cast

import numpy as np

from ncgopt.model import load
from ncgopt.report import OutputDifference
from ncgopt.runtime.heap import give_back
from ncgopt.runtime.session import Array, RunError, Session, Value, open_session
from ncgopt.runtime.stage import stage
from ncgopt.settings import VerifySettings
from ncgopt.verify import nudge
from ncgopt.verify.cases import Case, Trial
from ncgopt.verify.compare import compare_outputs
from ncgopt.verify.criterion import agreement, with_errors
from ncgopt.verify.feeds import TooLarge, jittered, make_feeds, perturbed
from ncgopt.verify.inputs import Survey
from ncgopt.verify.mapped import MappedModels
from ncgopt.verify.outline import read_outline
from ncgopt.verify.precise import NoReference, run_precisely
from ncgopt.verify.sketch import digest, finite, sketch
from ncgopt.verify.spill import Outputs
from ncgopt.verify.survey import survey
from ncgopt.verify.userfeeds import load_feeds, save_feeds
from ncgopt.verify.windows import remote as windows
from ncgopt.verify.windows.remote import WindowOutcome
from ncgopt.verify.windows.side import Side
from ncgopt.verify.windows.stream import Stream


@dataclass
class _State:
    session: Session | Stream | None = None
    who: str = ""
    recorded: Outputs = field(default_factory=Outputs)
    precise: Outputs = field(default_factory=Outputs)
    defaults: dict[str, Array] = field(default_factory=dict[str, Array])
    models: MappedModels = field(default_factory=MappedModels)


_state = _State()
_REPEATS = 4  # runs of each case until an output counts as fixed


def release() -> None:
    """Close the session and forget what was recorded."""
    close()
    _state.recorded.clear()
    _state.precise.clear()
    _state.defaults.clear()
    _state.models.close()


def close() -> None:
    """Close the session, and with it the files it has open."""
    _state.session = None
    give_back()


def require_readable(path: Path) -> None:
    """Raise what `ncgopt.model.load` says against a file; ONNX Runtime's own words help nobody there."""
    stage(f"reading {path.name}")
    load(path)


def survey_of(path: Path) -> Survey:
    """What the model at `path` expects, see `survey.py`; ModelInvalid where it contradicts itself."""
    stage("reading the original")
    try:
        return survey(path)
    except (ValueError, LookupError):
        require_readable(path)
        raise


def sizes_in_feeds(path: Path, wanted: Survey) -> dict[str, int]:
    """The sizes that the user's feeds give to symbols; raises what `load_feeds` raises."""
    return load_feeds(path, wanted)[1]


def open_model(path: Path, who: str, optimize: bool, settings: VerifySettings, large: bool = False) -> tuple[str, ...]:
    """Open a session in place of the one before; the names of its inputs.

    Args:
        path: the model.
        who: what it is called should anything go wrong.
        optimize: whether ONNX Runtime optimizes it.
        settings: providers, custom operators, and whether it runs whole.
        large: with optimizations off, kernels use weights where they lie; packed, they are there twice. With
            optimizations on they are packed in any case, as they are for whoever uses the model.

    Raises:
        LoadError: ONNX Runtime does not take the model.
    """
    close()  # two models at a time may be more than fits
    _state.who = f"{who} with optimizations {'on' if optimize else 'off'}"
    stage(f"loading {_state.who}")
    if settings.mode == "window":
        _state.session = windows.open_stream(path, settings, optimize=optimize)
    else:
        _state.session = open_session(
            _state.models.path_of(path),
            optimize=optimize,
            custom_ops=settings.custom_ops,
            providers=settings.providers,
            arena=False,
            prepack=optimize or not large,
        )
    return tuple(port.name for port in _state.session.inputs)


def remember_defaults(path: Path, names: Sequence[str]) -> None:
    """Read the values of initializers that cases will override."""
    outline = read_outline(path)
    for tensor in outline.proto.graph.initializer:
        if tensor.name in names:
            _state.defaults[tensor.name] = np.require(outline.array(tensor), requirements=["C", "ALIGNED"])


def write_nudged(path: Path, folder: Path, seed: int) -> Path | None:
    """Write a copy with its weights moved, see `nudge.py`; None where the model is too large for that."""
    close()
    stage("moving the weights of the original by rounding errors")
    return nudge.write_nudged(path, folder, seed)


def keep_feeds(expected: Survey, case: Case, original: Path, path: Path) -> None:
    """Write the inputs of a case as a `.npz` that `load_feeds` reads, unless one of them is no tensor."""
    remember_defaults(original, case.overrides)
    feeds = _feeds(expected, case)
    if all(isinstance(value, np.ndarray) for value in feeds.values()):
        save_feeds(path, cast("dict[str, Array]", feeds))


def attempt(expected: Survey, case: Case) -> Trial:
    """Run the open model on a case; a refusal is an answer, not an error."""
    try:
        outputs = _run(expected, case)
    except (RunError, TooLarge) as error:
        return Trial(refusal=str(error))
    except KeyError as error:
        return Trial(refusal=f"dimension {error} has no size")
    return Trial(
        digests=tuple(digest(value) for value in outputs),
        finites=tuple(finite(value) for value in outputs),
        sketches=tuple(sketch(value) for value in outputs),
    )


def record(expected: Survey, cases: Sequence[Case]) -> list[tuple[bytes, ...]]:
    """Run the open model on all cases, in order, and keep its outputs as what is right.

    Returns:
        Per case the digests of its outputs, as `attempt` gives them.

    Raises:
        RunError: a case does not run.
    """
    _state.recorded.clear()
    digests: list[tuple[bytes, ...]] = []
    for number, case in enumerate(cases):
        outputs = _run(expected, case)
        _state.recorded.put(number, outputs)
        digests.append(tuple(digest(value) for value in outputs))
    return digests


def record_precisely(path: Path, expected: Survey, cases: Sequence[Case], seconds: float) -> str:
    """Compute the cases in float64, and keep the outputs as what both sides are measured by.

    Returns:
        Why that was not possible for all of them; cases before the first that was not are kept.
    """
    _state.precise.clear()
    close()  # its weights are read from their file now
    until = time.monotonic() + seconds
    side = Side.load(path)
    for number, case in enumerate(cases):
        feeds = _feeds(expected, case)
        stage(f"running the original in float64 ({case})")
        try:
            found = run_precisely(side, side.nodes, feeds, expected.outputs, until=until)
        except NoReference as reason:
            return str(reason)
        _state.precise.put(number, [found[name] for name in expected.outputs])
    return ""


def compare_with_recorded(
    expected: Survey, cases: Sequence[tuple[int, Case]], random: Sequence[str], judge: bool = False
) -> list[tuple[OutputDifference, ...] | str]:
    """Run the open model on cases, in order, and compare with what was recorded under their number.

    Args:
        expected: what the original expects and gives.
        cases: with their numbers.
        random: outputs whose values are random.
        judge: the open model is the result: its errors against float64 and its decisions count too.

    Returns:
        Per case one difference per output, or why it did not run.
    """
    answers: list[tuple[OutputDifference, ...] | str] = []
    for number, case in cases:
        try:
            outputs = _run(expected, case)
        except RunError as error:
            answers.append(str(error))
            continue
        names = expected.outputs
        assert _state.session is not None
        given = dict(zip((port.name for port in _state.session.outputs), outputs, strict=True))
        missing = [name for name in names if name not in given]
        if missing:
            answers.append(f"output {missing[0]} is missing")
            continue
        stage("comparing outputs")
        ordered = [given[name] for name in names]
        right = _state.recorded.get(number)
        found = compare_outputs(names, right, ordered, random=frozenset(random), quantizes=expected.quantizes)
        if judge and number in _state.precise:
            found = with_errors(found, _state.precise.get(number), right, ordered)
        answers.append(tuple(agreement(a, b, one) for a, b, one in zip(right, ordered, found, strict=True)))
    return answers


def check_windows(
    original: Path, result: Path, expected: Survey, cases: Sequence[Case], settings: VerifySettings
) -> WindowOutcome:
    """Compare two models piece by piece, see `ncgopt.verify.windows`."""
    close()
    return windows.check(original, result, expected, [(case, _feeds(expected, case)) for case in cases], settings)


def frozen(expected: Survey, cases: Sequence[Case], random: Sequence[str]) -> list[str]:
    """Which of the outputs `random` have the same bits whenever the open model runs, on all cases; in order.

    An output that can only take a few values may repeat itself by chance, hence several runs.
    """
    assert _state.session is not None
    names = [port.name for port in _state.session.outputs]
    same = list(random)
    for case in cases:
        first: dict[str, bytes] = {}
        for _ in range(_REPEATS):
            if not same:
                return []
            digests = {name: digest(value) for name, value in zip(names, _run(expected, case), strict=True)}
            first = first or digests
            same = [name for name in same if digests[name] == first[name]]
    return same


def _run(expected: Survey, case: Case) -> list[Value]:
    session = _state.session
    if session is None:
        raise RuntimeError("no model is open")
    feeds = _feeds(expected, case)
    stage(f"running {_state.who} ({case})")
    return session.run(feeds)


def _feeds(expected: Survey, case: Case) -> dict[str, Value]:
    stage(f"making inputs ({case})")
    feeds = make_feeds(expected.inputs, dict(case.binding), case.draw) if case.file is None else {}
    if case.file is not None:
        feeds.update(load_feeds(case.file, expected)[0])
    for name in case.overrides:
        if name not in _state.defaults:
            raise RunError(f"the default of input {name} is sparse or missing and cannot be varied")
        feeds[name] = perturbed(_state.defaults[name], case.draw)
    return jittered(feeds, case.draw) if case.draw.jitter else feeds
