"""One window on some data: both pieces run, what they compute compared, the original's own noise measured."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Literal

import numpy as np

from ncgopt.report import OutputDifference
from ncgopt.runtime.session import Array, LoadError, RunError, Value
from ncgopt.runtime.stage import stage
from ncgopt.settings import VerifySettings
from ncgopt.verify.compare import compare_outputs
from ncgopt.verify.feeds import Draw, jittered
from ncgopt.verify.noise import JITTER_UNITS, allow
from ncgopt.verify.nudge import nudged
from ncgopt.verify.windows.cut import Window
from ncgopt.verify.windows.piece import Piece, RunningPiece

Outputs = dict[str, Value]
Level = Literal["disable-all", "enable-all"]


@dataclass(frozen=True)
class Sample:
    """Data for a window.

    Attributes:
        source: where they come from, for people.
        values: by name, everything on the window's frontier.
        expected: what the original computed of them when it ran as a whole; None for made-up data.
    """

    source: str
    values: Mapping[str, Value]
    expected: Outputs | None


@dataclass(frozen=True)
class Comparison:
    """What came out of one sample at one level.

    Attributes:
        refusal: why the result's piece did not run; then there are no outputs.
    """

    sample: Sample
    level: Level
    outputs: tuple[OutputDifference, ...] = ()
    refusal: str = ""

    @property
    def ok(self) -> bool:
        """Whether nothing speaks against the result."""
        return not self.refusal and all(output.ok for output in self.outputs)


@dataclass
class Judge:
    """Runs windows.

    Attributes:
        settings: providers, custom operators, seed.
        quantizes: whether the model rounds to a quantization grid, see `tolerance.py`.
    """

    settings: VerifySettings
    quantizes: bool

    def compare(self, window: Window, samples: Sequence[Sample], random: Sequence[str] = ()) -> list[Comparison]:
        """Compare on every sample that the original's piece takes, at both optimization levels."""
        where = window.targets[0]
        right = self._expected(window, samples)
        used = [(sample, outputs) for sample, outputs in zip(samples, right, strict=True) if outputs is not None]
        found: list[Comparison] = []
        levels: tuple[Level, ...] = ("disable-all", "enable-all")
        for level in levels:
            stage(f"running the result's window of {where}, {level}")
            running = RunningPiece(window.result, self.settings, optimize=level == "enable-all")
            for sample, expected in used:
                answer = _attempt(running, sample.values)
                if isinstance(answer, str):
                    found.append(Comparison(sample, level, refusal=answer))
                else:
                    found.append(Comparison(sample, level, self._differences(expected, answer, random)))
        return self._with_noise(window, found, dict(zip(map(id, samples), right, strict=True)), random)

    def _expected(self, window: Window, samples: Sequence[Sample]) -> list[Outputs | None]:
        stage(f"running the original's window of {window.targets[0]}")
        running = RunningPiece(window.original, self.settings, optimize=False)
        found: list[Outputs | None] = []
        for sample in samples:
            answer = sample.expected if sample.expected is not None else _attempt(running, sample.values)
            found.append(None if isinstance(answer, str) else answer)
        return found

    def _differences(self, expected: Outputs, actual: Outputs, random: Sequence[str]) -> tuple[OutputDifference, ...]:
        names = list(expected)
        sides = [expected[name] for name in names], [actual[name] for name in names]
        return compare_outputs(names, *sides, random=frozenset(random), quantizes=self.quantizes)

    def _with_noise(
        self, window: Window, found: list[Comparison], right: Mapping[int, Outputs | None], random: Sequence[str]
    ) -> list[Comparison]:
        """Limits raised by the noise of the original's piece on the same sample, where one is exceeded."""
        judged: list[Comparison] = []
        noise: dict[int, list[tuple[OutputDifference, ...] | None]] = {}
        for one in found:
            key, expected = id(one.sample), right[id(one.sample)]
            if one.ok or one.refusal or expected is None:
                judged.append(one)
                continue
            if key not in noise:
                noise[key] = [self._moved(one.sample, expected, run, random) for run in self._measures(window)]
            measured = [outputs for outputs in noise[key] if outputs is not None]
            optimizing = noise[key][0] if one.level == "enable-all" else None
            outputs = tuple(
                allow(output, [other[at] for other in measured], optimizing[at] if optimizing else None)
                for at, output in enumerate(one.outputs)
            )
            judged.append(replace(one, outputs=outputs))
        return judged

    def _measures(self, window: Window) -> list[Callable[[Mapping[str, Value]], Outputs | str]]:
        """Three ways to run the original's piece a little differently, see `noise.py`."""
        rng = np.random.default_rng(self.settings.seed)
        draw = Draw(seed=self.settings.seed, jitter=JITTER_UNITS)

        def nudge(weights: Array) -> Array:
            return nudged(weights, rng)

        def running(piece: Piece, optimize: bool, change: Callable[[Array], Array] | None = None) -> RunningPiece:
            return RunningPiece(piece, self.settings, optimize=optimize, change=change)

        return [
            lambda values: _attempt(running(window.original, True), values),
            lambda values: _attempt(running(window.original, False), jittered(dict(values), draw)),
            lambda values: _attempt(running(window.original, False, nudge), values),
        ]

    def _moved(
        self,
        sample: Sample,
        expected: Outputs,
        run: Callable[[Mapping[str, Value]], Outputs | str],
        random: Sequence[str],
    ) -> tuple[OutputDifference, ...] | None:
        answer = run(sample.values)
        return None if isinstance(answer, str) else self._differences(expected, answer, random)


def _attempt(running: RunningPiece, values: Mapping[str, Value]) -> Outputs | str:
    try:
        return running.run(values)
    except (LoadError, RunError) as error:
        return str(error)
