"""From a whole model to the smallest part of it that still shows the fault."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from pathlib import Path

from ncgopt.errors import NcgoptError
from ncgopt.reduce.ddmin import ddmin
from ncgopt.reduce.experiment import Experiment, Symptom
from ncgopt.reduce.graph import Graph, changed
from ncgopt.reduce.simplify import fewer_outputs, plainer_numbers, smaller_sizes
from ncgopt.reduce.specimen import Specimen, read_model
from ncgopt.runtime import Worker
from ncgopt.runtime.session import Array
from ncgopt.verify.userfeeds import read_arrays

_STEPS = 12  # how often the neighbourhood grows before the whole model is taken


class Reduction:
    """Reduces the model before a rewrite.

    Args:
        experiment: what makes the fault show.
        symptom: what it looks like on the whole model.
        before: the model before the rewrite.
        feeds: inputs of it with which the fault shows; need not exist where it shows without.
        worker: child process in which models run.
        seconds: how long to go on.
        progress: called with one line whenever something begins.
    """

    def __init__(
        self,
        experiment: Experiment,
        symptom: Symptom,
        before: Path,
        feeds: Path,
        worker: Worker,
        seconds: float,
        progress: Callable[[str], None],
    ) -> None:
        self._experiment, self._symptom = experiment, symptom
        self._before, self._feeds, self._worker = before, feeds, worker
        self._end = time.monotonic() + seconds
        self._progress = progress
        self._graph = Graph(before)
        self._data: dict[str, Array] = {}
        self._sized = False
        self.observations = 0

    def run(self, site: Sequence[int]) -> Specimen | None:
        """The smallest part found; None where no part shows the fault.

        Args:
            site: numbers of the nodes that the rewrite changed; all are meant where there are none.
        """
        chosen = self._neighbourhood(site)
        if chosen is None:
            return None
        self._progress(f"reducing: {len(chosen)} nodes show it")
        self._fetch(sorted({name for number in chosen for name in self._graph.boundary([number])}))
        chosen = ddmin(sorted(chosen), lambda nodes: self._shows(self._part(nodes)))
        specimen = self._part(chosen)
        assert specimen is not None
        for step in (fewer_outputs, smaller_sizes, plainer_numbers):
            self._progress(f"reducing: {step.__name__.replace('_', ' ')}")
            specimen = step(specimen, self._shows)
        return specimen

    def _neighbourhood(self, site: Sequence[int]) -> set[int] | None:
        """The site, and as much around it as it takes."""
        everything = set(range(len(self._graph.nodes)))
        chosen = set(site) or everything
        for _ in range(_STEPS):
            self._progress(f"reducing: looking at {len(chosen)} of {len(everything)} nodes")
            for self._sized in (False, True):
                if self._shows(self._part(chosen)):
                    return chosen
            if len(chosen) == len(everything) or time.monotonic() > self._end:
                return None
            wider = self._graph.around(chosen)
            chosen = wider if len(wider) > len(chosen) and len(wider) * 2 < len(everything) else everything
        return None

    def _part(self, chosen: Sequence[int] | set[int]) -> Specimen | None:
        needed = self._graph.boundary(chosen)
        self._fetch(needed)
        model = self._graph.cut(chosen, self._data, sized=self._sized)
        if model is None:
            return None
        return Specimen(model, {name: self._data[name] for name in needed if name in self._data})

    def _fetch(self, names: Sequence[str]) -> None:
        """Compute inner values, where the inputs of the whole model are known."""
        if not self._feeds.exists() or all(name in self._data for name in names):
            return
        if not self._data:
            self._data.update(read_arrays(self._feeds))
        lacking = [name for name in names if name not in self._data]
        if not lacking:
            return
        found = self._before.with_name("values.npz")
        settings = self._experiment.settings.verification
        try:
            self._worker.call(
                "ncgopt.reduce.remote:values", self._before, self._feeds, lacking, settings, found, timeout=600.0
            )
        except NcgoptError:
            return  # a part without data for its inputs does not run, and shows nothing
        self._data.update(read_arrays(found))

    def _shows(self, specimen: Specimen | None) -> bool:
        if specimen is None or time.monotonic() > self._end:
            return False
        self.observations += 1
        seen = self._experiment.observe(specimen)
        return seen is not None and seen.is_like(self._symptom)


def site_of(before: Path, after: Path) -> list[int]:
    """Numbers of the nodes of `before` that the rewrite changed."""
    return changed(read_model(before, weights=False), read_model(after, weights=False))
