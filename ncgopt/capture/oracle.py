"""The program itself as the judge of its static graph: both run on the same data, at sizes of all kinds."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from ncgopt.capture.program import CannotCapture, Program, ProgramRefuses
from ncgopt.capture.specs import InputSpec
from ncgopt.records import record
from ncgopt.report import OutputDifference
from ncgopt.runtime import Worker
from ncgopt.runtime.session import OrtError
from ncgopt.verify.compare import compare_outputs, excess

_REMOTE = "ncgopt.capture.remote"


@record
class Agreement:
    """The program and a static graph at one set of sizes.

    Attributes:
        sizes: of the symbols.
        origin: `generated`, or the example's file.
        outputs: the difference of each output.
        refusal: why the static graph does not run; empty where it does.
    """

    sizes: Mapping[str, int]
    origin: str
    outputs: tuple[OutputDifference, ...]
    refusal: str = ""

    @property
    def ok(self) -> bool:
        """Whether it computes the same."""
        return not self.refusal and all(output.ok for output in self.outputs)

    @property
    def worst(self) -> OutputDifference | None:
        """The output that is nearest to its limit, or furthest beyond."""
        return max(self.outputs, key=excess, default=None)


@record
class Trial:
    """Data, and what the program makes of them."""

    sizes: Mapping[str, int]
    origin: str
    feeds: Mapping[str, npt.NDArray[Any]]
    results: Sequence[npt.NDArray[Any]]


class Oracle:
    """A program with the sizes at which it was asked.

    Attributes:
        trials: what it gave.
        refused: sizes that the program itself does not take, with its reason.
    """

    def __init__(self, program: Program, specs: Sequence[InputSpec], seed: int) -> None:
        self._program, self._specs = program, specs
        self._random = np.random.default_rng(seed)
        self.trials: list[Trial] = []
        self.refused: list[tuple[Mapping[str, int], str]] = []

    def draw(self, sizes: Mapping[str, int]) -> dict[str, npt.NDArray[Any]]:
        """Random data of given sizes."""
        return {spec.name: spec.draw(sizes, self._random) for spec in self._specs}

    def ask(self, sizes: Mapping[str, int], feeds: Mapping[str, npt.NDArray[Any]], origin: str = "generated") -> bool:
        """Run the program; whether it takes the data."""
        try:
            results = self._program.run(feeds, self._specs)
        except ProgramRefuses as refusal:
            self.refused.append((sizes, str(refusal)))
            return False
        self.trials.append(Trial(sizes, origin, feeds, results))
        return True

    def peculiarities(self, sizes: Mapping[str, int]) -> list[str]:
        """Results that differ from run to run, and memory that a run changes.

        Raises:
            CannotCapture: the program does not run at these sizes, where it shall be traced.
        """
        feeds = self.draw(sizes)
        before = self._program.state()
        try:
            first = self._program.run(feeds, self._specs)
            again = self._program.run(feeds, self._specs)
        except ProgramRefuses as refusal:
            shapes = ", ".join(f"{name} {list(array.shape)}" for name, array in feeds.items())
            raise CannotCapture(
                f"the program itself does not run on {shapes}: {refusal} (--input says what goes in, --range which"
                " sizes and --example has data of your own)"
            ) from None
        if not first:
            raise CannotCapture("the program returns no tensor")
        found: list[str] = []
        if self._program.state() != before:
            found.append("running it changes its own state (buffers); the static graph has the state of now, for ever")
        if any(not np.array_equal(a, b, equal_nan=a.dtype.kind in "fc") for a, b in zip(first, again, strict=True)):
            found.append("it gives other results for the same data: it is random, or remembers what it did")
        return found

    def judge(self, model: Path, worker: Worker, *, quantizes: bool = False) -> list[Agreement]:
        """Run a static graph on all that the program ran on, in the child."""
        found: list[Agreement] = []
        for trial in self.trials:
            try:
                names, outputs = worker.call(f"{_REMOTE}:run", model, dict(trial.feeds))
            except OrtError as error:
                found.append(Agreement(trial.sizes, trial.origin, (), str(error)))
                continue
            if len(outputs) != len(trial.results):
                refusal = f"{len(outputs)} outputs instead of {len(trial.results)}"
                found.append(Agreement(trial.sizes, trial.origin, (), refusal))
                continue
            differences = compare_outputs(names, list(trial.results), outputs, quantizes=quantizes)
            found.append(Agreement(trial.sizes, trial.origin, differences))
        return found
