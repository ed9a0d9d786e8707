"""All windows of two models: first as they are, then with more nodes around those that differ."""

from __future__ import annotations

import contextlib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field

from ncgopt.facts.determinism import is_deterministic
from ncgopt.report import WindowFigures
from ncgopt.runtime.session import Value
from ncgopt.settings import VerifySettings
from ncgopt.verify.windows.cut import Cutter, Window
from ncgopt.verify.windows.data import FILLINGS, filled, is_float
from ncgopt.verify.windows.judge import Comparison, Judge, Sample
from ncgopt.verify.windows.store import Store
from ncgopt.verify.windows.stream import Stream

_ROUNDS = 6  # how often a window that differs is made larger
_ANOTHER = 0.1  # of its scale by which a value must differ to be taken for another one under the same name
_LARGEST = 1500  # nodes on both sides of a window


@dataclass(frozen=True)
class Run:
    """One set of inputs of the whole model, and where they come from."""

    source: str
    feeds: Mapping[str, Value]


@dataclass
class WindowCheck:
    """One comparison by windows.

    Attributes:
        cutter: the two models.
        stream: the original, for what it computes.
        runs: inputs that it takes.
        budget: bytes of weights that a window may need.
        comparisons: what was compared in the end, window by window.
    """

    cutter: Cutter
    stream: Stream
    runs: Sequence[Run]
    settings: VerifySettings
    quantizes: bool
    budget: int
    comparisons: dict[tuple[str, ...], list[Comparison]] = field(
        default_factory=dict[tuple[str, ...], list[Comparison]]
    )
    _dropped: dict[str, str] = field(default_factory=dict[str, str])
    _grown: dict[tuple[str, ...], set[str]] = field(default_factory=dict[tuple[str, ...], set[str]])
    _own: set[tuple[str, ...]] = field(default_factory=set[tuple[str, ...]])
    _large: set[tuple[str, ...]] = field(default_factory=set[tuple[str, ...]])

    def run(self) -> WindowFigures:
        """Compare, and say how."""
        windows, unchanged = self.cutter.windows()
        largest = 0
        done: set[tuple[object, ...]] = set()
        with contextlib.closing(Store()) as store:
            for number in range(_ROUNDS + 1):
                pending = [window for window in windows if window.key not in done]
                if not pending:
                    break
                self._fetch(store, pending)
                for window in pending:
                    done.add(window.key)
                    largest = max(largest, window.size)
                    self._look_at(window, store)
                last = number == _ROUNDS
                windows, unchanged = self._next(windows, last=last)
        return self._figures(windows, unchanged, largest)

    def _fetch(self, store: Store, windows: Iterable[Window]) -> None:
        names = {name for window in windows for name in (*window.frontier, *window.targets)}
        wanted = store.missing(names)
        if wanted:
            for at, values in enumerate(self.stream.values([run.feeds for run in self.runs], wanted)):
                store.put(at, values)

    def _look_at(self, window: Window, store: Store) -> None:
        if window.bytes > self.budget:
            self._large.add(window.targets)
            return
        random = window.targets if not all(is_deterministic(node) for node in window.original.nodes) else ()
        samples: list[Sample] = []
        for at, run in enumerate(self.runs):
            values, expected = store.get(at, window.frontier), store.get(at, window.targets)
            samples.append(Sample(run.source, values, expected))
        made_up = any(is_float(value) for value in samples[0].values.values()) and not random
        for run, sample in zip(self.runs[:2] if made_up else (), samples, strict=False):
            for filling in FILLINGS:
                data = filled(sample.values, filling, self.settings.seed, window.aliases)
                samples.append(Sample(f"{filling} values in the shapes of {run.source}", data, None))
        judge = Judge(self.settings, self.quantizes)
        self.comparisons[window.targets] = judge.compare(window, samples, random)

    def _next(self, windows: Sequence[Window], *, last: bool) -> tuple[list[Window], int]:
        """The windows of the next round: those that differed are larger."""
        for window in windows:
            bad = [one for one in self.comparisons.get(window.targets, ()) if not one.ok]
            if not bad or window.targets in self._own:
                continue
            own = [one for one in bad if one.sample.expected is not None]
            if own:
                if any(_is_another_value(one) for one in own):
                    self._drop(window)
            elif last or not self._grow(window):
                # Right on what the model itself computes; arbitrary data may contradict facts from further up.
                self._own.add(window.targets)
                kept = [one for one in self.comparisons[window.targets] if one.sample.expected is not None]
                self.comparisons[window.targets] = kept
        fresh, unchanged = self.cutter.windows(self._dropped)
        return [self._enlarged(window) for window in fresh], unchanged

    def _drop(self, window: Window) -> None:
        outputs = {value.name for value in self.cutter.result.model.graph.outputs}
        if not outputs & set(window.targets):
            self._dropped |= dict.fromkeys(window.targets, window.targets[0])

    def _grow(self, window: Window) -> bool:
        """Take what computes the window's frontier into it; False where that is not possible."""
        fixed = {value.name for value in self.cutter.original.model.graph.inputs}
        more = set(window.frontier) - fixed
        expanded = self._grown.setdefault(window.targets, set())
        if not more or window.size > _LARGEST:
            return False
        expanded |= more
        return self._enlarged(window).bytes <= self.budget

    def _enlarged(self, window: Window) -> Window:
        expanded = self._grown.get(window.targets)
        if not expanded:
            return window
        stops = (self.cutter.anchors | self.cutter.inputs) - set(self._dropped) - expanded
        return self.cutter.window(window.targets, stops)

    def _figures(self, windows: Sequence[Window], unchanged: int, largest: int) -> WindowFigures:
        live = {window.targets for window in windows}
        held = all(one.ok for targets in live for one in self.comparisons.get(targets, ()))
        # Where something is wrong, it began at the first value that differs, taken for another one or not.
        kept = [targets for targets in self.comparisons if targets in live or not held]
        kept.sort(key=lambda targets: self._place(targets[0]))
        self.comparisons = {targets: self.comparisons[targets] for targets in kept}
        return WindowFigures(
            windows=len(windows), unchanged=unchanged, nodes=len(self.cutter.result.nodes), largest=largest,
            grown=sum(targets in live for targets in self._grown), dropped=tuple(self._dropped),
            own_data_only=tuple(targets[0] for targets in sorted(self._own & live)),
            too_large=tuple(targets[0] for targets in sorted(self._large & live)),
        )  # fmt: skip

    def _place(self, name: str) -> int:
        producer = self.cutter.result.producer(self.cutter.result.values[name])
        return -1 if producer is None else self.cutter.result.place[producer]


def _is_another_value(one: Comparison) -> bool:
    """Whether the difference is of the kind that a name used for something else makes, not a little wrong."""
    return bool(one.refusal) or any(
        bool(output.detail) or output.max_abs > _ANOTHER * output.scale for output in one.outputs if not output.ok
    )
