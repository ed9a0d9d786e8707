"""A model as checks see it: what is expensive to find out is found out once, and only where a check asks."""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import cast

import onnx_ir as ir

from ncgopt import facts, pipeline
from ncgopt.errors import ModelInvalid
from ncgopt.facts.declared import contradictions
from ncgopt.facts.nesting import graphs_within, nodes_within
from ncgopt.lint.numbers import Numbers, numbers
from ncgopt.model import Loaded, load, stats
from ncgopt.report import ModelStats, Report
from ncgopt.runtime import Worker, WorkerDied
from ncgopt.settings import Settings


class Subject:
    """One file.

    Attributes:
        path: the file.
        settings: what `optimize` would be told, and the budgets.
        invalid: why it cannot be loaded; empty where it can.
    """

    def __init__(
        self,
        path: Path,
        settings: Settings,
        complaints: Callable[[float | None], list[str]] | None,
        worker: Worker | None = None,
    ) -> None:
        """Load the model.

        Args:
            path: the file.
            settings: what to look for.
            complaints: waits for what ONNX's checker says, which runs in a child process meanwhile.
            worker: another child process, for what ONNX Runtime has to compute.

        Raises:
            InputUnreadable: the file is missing, damaged or no model.
        """
        self.path, self.settings = path, settings
        self._complaints, self._worker = complaints, worker
        self._loaded: Loaded | None = None
        self.invalid = ""
        try:
            self._loaded = load(path, trust_links=settings.trust_links)
        except ModelInvalid as error:
            self.invalid = str(error)

    @property
    def loaded(self) -> Loaded:
        """The model as the file has it, but for repairs; only where it is not `invalid`."""
        assert self._loaded is not None
        return self._loaded

    @property
    def model(self) -> ir.Model:
        """Nothing may be changed in it."""
        return self.loaded.model

    @functools.cached_property
    def stats(self) -> ModelStats:
        """How large it is."""
        return stats(self.model, self.loaded.file_bytes)

    @functools.cached_property
    def report(self) -> Report:
        """What `optimize` would do; takes by far the longest of all.

        Raises:
            NcgoptError: the settings make no sense, or a rule or pass broke a promise.
        """
        return pipeline.findings(self.path, self.settings, self._worker)

    @functools.cached_property
    def contradictions(self) -> Sequence[tuple[str, str]]:
        """Values whose declared type or shape is wrong, and what is wrong with it."""
        if "report" in vars(self):  # the pipeline looked already
            found = self.report.contradictions
        else:
            facts.survey(self.model)
            found = contradictions(self.model)
        return [(one.value, f"declared as {one.declared}, and is {one.proven}") for one in found]

    @functools.cached_property
    def complaints(self) -> Sequence[str]:
        """What ONNX's own checker says against the file."""
        try:
            return self._complaints(None) if self._complaints is not None else ()
        except WorkerDied as death:
            return (f"ONNX's checker crashed: {death.what}",)

    def nodes(self) -> Iterator[ir.Node]:
        """Every node, those of subgraphs and local functions included."""
        for top in self._tops():
            yield from nodes_within(top)

    def graphs(self) -> Iterator[ir.Graph]:
        """The main graph, its subgraphs, and those of local functions."""
        for top in self._tops():
            yield from graphs_within(top)

    def weights(self) -> Iterator[tuple[str, ir.TensorProtocol]]:
        """Initializers by name, then tensors of `Constant` nodes by the name of what they produce."""
        for graph in self.graphs():
            for name, value in graph.initializers.items():
                if value.const_value is not None:
                    yield name, value.const_value
        for node in self.nodes():
            if node.op_type == "Constant" and node.domain == "":
                attribute = node.attributes.get("value")
                if attribute is not None and not attribute.is_ref():
                    yield node.outputs[0].name or "", cast("ir.TensorProtocol", attribute.value)

    @functools.cached_property
    def numbers(self) -> Sequence[tuple[str, Numbers]]:
        """What is remarkable among the numbers of each weight that has such; all weights are read for it, once."""
        found = ((name, numbers(tensor)) for name, tensor in self.weights())
        return [(name, one) for name, one in found if one != Numbers()]

    def _tops(self) -> Iterator[ir.Graph]:
        yield self.model.graph
        for function in self.model.functions.values():
            yield function.graph
