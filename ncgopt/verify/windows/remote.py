"""The part of a verification by windows that runs in the child process."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from ncgopt.report import OutputDifference, VerifyRun, WindowFigures
from ncgopt.runtime.session import Value
from ncgopt.runtime.stage import stage
from ncgopt.settings import VerifySettings
from ncgopt.verify.cases import Case
from ncgopt.verify.compare import excess
from ncgopt.verify.inputs import Survey
from ncgopt.verify.verdict import how
from ncgopt.verify.windows.check import Run, WindowCheck
from ncgopt.verify.windows.cut import Cutter
from ncgopt.verify.windows.judge import Comparison
from ncgopt.verify.windows.side import Side
from ncgopt.verify.windows.stream import Stream

_NAMED = 4  # windows listed by name
_SHOWN = 8  # values per run, closest to their limits first


@dataclass(frozen=True)
class WindowOutcome:
    """What a check by windows found.

    Attributes:
        runs: per source of data and level, the values closest to their limits.
        failure: one line where the result differs from the original.
        notes: what limits what was shown.
    """

    figures: WindowFigures
    runs: tuple[VerifyRun, ...]
    failure: str
    notes: tuple[str, ...]


def open_stream(path: Path, settings: VerifySettings, *, optimize: bool) -> Stream:
    """The model at `path`, to be run piece by piece."""
    return Stream(Side.load(path), settings.piece_bytes, settings, optimize=optimize)


def check(
    original: Path,
    result: Path,
    wanted: Survey,
    cases: Sequence[tuple[Case, Mapping[str, Value]]],
    settings: VerifySettings,
) -> WindowOutcome:
    """Compare two models window by window on cases that the original takes.

    Raises:
        LoadError, RunError: the original does not run any more.
    """
    stage("laying the models beside each other")
    cutter = Cutter(Side.load(original), Side.load(result))
    stream = Stream(cutter.original, settings.piece_bytes, settings)
    runs = [Run(str(case), feeds) for case, feeds in cases]
    bindings = {str(case): dict(case.binding) for case, _ in cases}
    work = WindowCheck(cutter, stream, runs, settings, wanted.quantizes, 2 * settings.piece_bytes)
    figures = work.run()
    found = [one for comparisons in work.comparisons.values() for one in comparisons]
    return WindowOutcome(figures, _runs(found, bindings), _failure(cutter, found), _notes(figures, found))


def _runs(found: Sequence[Comparison], bindings: Mapping[str, Mapping[str, int]]) -> tuple[VerifyRun, ...]:
    grouped: dict[tuple[str, str], list[OutputDifference]] = {}
    sizes: dict[str, Mapping[str, int]] = {}
    none: Mapping[str, int] = {}
    for one in found:
        source = one.sample.source
        grouped.setdefault((source, one.level), []).extend(one.outputs)
        sizes[source] = next((binding for name, binding in bindings.items() if source.endswith(name)), none)
    return tuple(
        VerifyRun(source, sizes[source], "enable-all" if level == "enable-all" else "disable-all", _closest(outputs))
        for (source, level), outputs in grouped.items()
    )


def _closest(outputs: Sequence[OutputDifference]) -> tuple[OutputDifference, ...]:
    return tuple(sorted(outputs, key=excess, reverse=True)[:_SHOWN])


def _failure(cutter: Cutter, found: Sequence[Comparison]) -> str:
    """The first window, in the result's order, that differs."""
    bad = next((one for one in found if not one.ok), None)
    if bad is None:
        return ""
    if bad.refusal:
        return f"a window of the result does not run where the original's does: {bad.refusal} ({bad.sample.source})"
    output = max(bad.outputs, key=excess)
    producer = cutter.result.producer(cutter.result.values[output.output])
    maker = f", computed by {producer.op_type}," if producer is not None else ""
    return f"value {output.output}{maker} {how(output)} ({bad.sample.source}, {bad.level})"


def _notes(figures: WindowFigures, found: Sequence[Comparison]) -> tuple[str, ...]:
    notes: list[str] = []
    for names, what in (
        (figures.own_data_only, "shown only on what the model itself computes there"),
        (figures.too_large, "with more weights than fit were not run"),
    ):
        if names:
            more = f" and {len(names) - _NAMED} more" if len(names) > _NAMED else ""
            notes.append(f"{len(names)} windows {what}: {', '.join(names[:_NAMED])}{more}")
    noisy = {output.output for one in found for output in one.outputs if output.noise}
    if noisy:
        notes.append(f"ill-conditioned, the original itself moves there: {', '.join(sorted(noisy)[:_NAMED])}")
    return tuple(notes)
