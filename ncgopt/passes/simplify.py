"""onnxsim as a pass."""

from __future__ import annotations

import tempfile
from dataclasses import dataclass
from pathlib import Path

import onnx_ir as ir

from ncgopt import model as models
from ncgopt.errors import Unavailable
from ncgopt.facts.marks import take_notes
from ncgopt.passes.base import Pass
from ncgopt.rewrite.rule import Claim
from ncgopt.rewrite.session import Session, all_graphs
from ncgopt.runtime import WorkerDied
from ncgopt.runtime.simplifier import SimplifierFailed


@dataclass(frozen=True)
class Simplify(Pass):
    """Let onnxsim (onnx-simplifier) rewrite the model, in the child process.

    Its result is treated like that of any pass of ours: checked for well-formedness and interface,
    and verified. What it claims of itself is not relied on. Where it crashes or does not come to its
    end, the pass is left out, and the report says so. It is in no preset.
    """

    name = "simplify"
    claim = Claim.ROUNDS

    def run(self, model: ir.Model, session: Session) -> int:
        """Write, simplify, read back; the graph is replaced where node or initializer lists differ."""
        if session.exhausted:
            return 0
        with tempfile.TemporaryDirectory(prefix="ncgopt-") as folder:
            before, after = Path(folder, "before.onnx"), Path(folder, "after.onnx")
            models.save(model, before, external_data="auto", input_external=False)
            try:
                session.compute("ncgopt.runtime.simplifier:simplify", str(before), str(after))
            except WorkerDied as death:
                session.leave_out(self.name, "the whole graph", f"onnxsim: {death.what}")
                return 0
            except SimplifierFailed as error:
                raise Unavailable(f"simplify: onnxsim failed: {error}; leave this pass out") from None
            simplified = models.load(after, in_memory=True).model
        if _outline(simplified) == _outline(model) or not session.spend(self.name, "the whole graph"):
            return 0
        _declare_as(model.graph, simplified.graph)
        model.graph = simplified.graph
        model.functions.clear()
        model.functions.update(simplified.functions)
        session.adopt(model)
        return 1


def _declare_as(old: ir.Graph, new: ir.Graph) -> None:
    """Give inputs and outputs of `new` the declarations of `old`.

    onnxsim writes the sizes that it infers over declared symbolic ones and drops metadata. Whether
    the model still keeps what it declares is for verification to show.

    Raises:
        Unavailable: they have other names, or another order.
    """
    for kind, before, after in (("inputs", old.inputs, new.inputs), ("outputs", old.outputs, new.outputs)):
        if [v.name for v in before] != [v.name for v in after]:
            raise Unavailable(f"simplify: onnxsim changed the {kind} of the model; leave this pass out")
        for declared, value in zip(before, after, strict=True):
            value.type, value.shape, value.doc_string = declared.type, declared.shape, declared.doc_string
            value.metadata_props.clear()
            value.metadata_props.update(declared.metadata_props)
            value.meta.clear()
            take_notes(declared, value)
    new.name, new.doc_string = old.name, old.doc_string
    new.metadata_props.clear()
    new.metadata_props.update(old.metadata_props)


def _outline(model: ir.Model) -> list[tuple[object, ...]]:
    """Operators and their edges, and the names and shapes of initializers."""
    lines: list[tuple[object, ...]] = []
    for graph in all_graphs(model):
        lines += [(v.name, str(v.dtype), str(v.shape)) for v in graph.initializers.values()]
        for node in graph:
            inputs = tuple(v.name if v is not None else "" for v in node.inputs)
            lines.append((node.domain, node.op_type, inputs, tuple(v.name for v in node.outputs)))
    return lines
