"""Store equal weights once."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import onnx_ir as ir

from ncgopt import facts
from ncgopt.facts.nesting import graphs_within
from ncgopt.facts.training import is_updating
from ncgopt.passes._contents import digest, grouped, kind, sample
from ncgopt.passes.base import Pass
from ncgopt.rewrite.removal import remove_unused_initializer
from ncgopt.rewrite.rule import Claim
from ncgopt.rewrite.session import Session


@dataclass(frozen=True)
class ShareInitializers(Pass):
    """Let initializers with the same bytes, shape and type be one; also across subgraphs.

    Bytes are compared, so 0.0 and -0.0, and NaNs with other payloads, stay apart. So do the inputs of a
    BatchNormalization that trains: ONNX Runtime writes the new mean and variance over the old ones, where
    these are initializers, and whatever shares them is then read changed.
    """

    name = "share-initializers"
    claim = Claim.EXACT

    def run(self, model: ir.Model, session: Session) -> int:
        """Keep the first of each group."""
        count = 0
        for original, copies in equal_initializers(model):
            for copy in copies:
                if session.spend(self.name, f"{copy.name} = {original.name}"):
                    count += 1
                    _share(model, original, copy, session)
        return count


def shareable(model: ir.Model) -> Iterator[ir.Value]:
    """Initializers in use that are neither interface nor protected; those of strings are left out."""
    for graph in graphs_within(model.graph):
        for value in graph.initializers.values():
            tensor = value.const_value
            plain = not (value.is_graph_input() or value.is_graph_output() or facts.is_kept(value))
            if not plain or tensor is None or tensor.dtype == ir.DataType.STRING or not value.uses():
                continue
            if not any(is_updating(use.node) for use in value.uses()):
                yield value


def equal_initializers(model: ir.Model) -> Iterator[tuple[ir.Value, list[ir.Value]]]:
    """Initializers with equal contents, the first of each first. Type and shape decide first, then a few elements."""
    for alike in grouped(shareable(model), kind):
        for similar in grouped(alike, sample):
            for first, *rest in grouped(similar, digest):
                yield first, rest


def _share(model: ir.Model, original: ir.Value, copy: ir.Value, session: Session) -> None:
    move_to_main_graph(model, original, copy, session)
    for use in tuple(copy.uses()):
        use.node.replace_input_with(use.idx, original)
    remove_unused_initializer(copy)


def move_to_main_graph(model: ir.Model, original: ir.Value, copy: ir.Value, session: Session) -> None:
    """Move `original` where every user sees it, unless it is there or both are in the same graph."""
    graph = original.graph
    if graph is None or graph is model.graph or graph is copy.graph or original.name is None:
        return
    del graph.initializers[original.name]
    original.name = session.fresh_name(original.name)
    model.graph.register_initializer(original)
