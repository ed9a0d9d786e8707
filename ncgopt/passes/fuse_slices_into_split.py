"""Cut a tensor once, not piece by piece."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np
import onnx_ir as ir

from ncgopt import facts
from ncgopt.passes.base import Pass
from ncgopt.rewrite.placement import add_constant
from ncgopt.rewrite.removal import remove_dead, remove_node
from ncgopt.rewrite.replacement import replace_value
from ncgopt.rewrite.rule import Claim
from ncgopt.rewrite.session import Session, all_graphs, where
from ncgopt.rules.shape._slices import ranges

# Split has sizes as an attribute since 2, as an input since 13, a number of equal parts since 18.
_SINCE, _INPUT_SINCE, _COUNT_SINCE = 2, 13, 18


@dataclass(frozen=True)
class _Piece:
    """`slice` takes `start:end` of an axis."""

    slice: ir.Node
    start: int
    end: int


@dataclass(frozen=True)
class FuseSlicesIntoSplit(Pass):
    """Slices that together take all of one axis, each element once, become one Split.

    The axis has a known length; the pieces may be taken in any order. Waits until nothing else changes
    anything: patterns that other rewrites look for (two halves that are turned, heads cut out of a
    product) are mostly written with Slice.
    """

    name = "fuse-slices-into-split"
    claim = Claim.EXACT
    closing = True

    def run(self, model: ir.Model, session: Session) -> int:
        """Look at every value that several Slices of one graph read."""
        facts.forget()
        count = 0
        for graph in all_graphs(model):
            for x, slices in _by_input(graph).items():
                for axis, pieces in _by_axis(x, slices).items():
                    if _tile(pieces, x, axis) and _fuse(graph, x, axis, pieces, session):
                        count += 1
        return count


def _by_input(graph: ir.Graph) -> dict[ir.Value, list[ir.Node]]:
    """The Slices of `graph`, in its order, by what they read; inputs with only one left out."""
    found: dict[ir.Value, list[ir.Node]] = {}
    for node in graph:
        x = facts.input_of(node, 0)
        if node.op_type == "Slice" and not node.domain and not facts.is_kept(node) and x is not None:
            found.setdefault(x, []).append(node)
    return {x: slices for x, slices in found.items() if len(slices) > 1}


def _by_axis(x: ir.Value, slices: Iterable[ir.Node]) -> dict[int, list[_Piece]]:
    """The pieces that leave all axes but one alone, by that axis, from its start to its end."""
    found: dict[int, list[_Piece]] = {}
    dims = facts.shape(x)
    for node in slices:
        taken = ranges(node)
        if dims is None or taken is None or len(taken) != 1:
            continue
        ((axis, r),) = taken.items()
        length = dims[axis] if axis < len(dims) else None
        if isinstance(length, int) and r.step == 1 and (node.version or 1) >= _SINCE:
            start, end = (min(max(n + length if n < 0 else n, 0), length) for n in (r.start, r.end))
            found.setdefault(axis, []).append(_Piece(node, start, end))
    return {axis: sorted(pieces, key=lambda p: (p.start, p.end)) for axis, pieces in found.items()}


def _tile(pieces: Sequence[_Piece], x: ir.Value, axis: int) -> bool:
    """Whether the pieces, in order, take each element of the axis once, and none of them is empty."""
    dims = facts.shape(x)
    ends = [0, *(p.end for p in pieces)]
    follow = all(p.start == end and p.end > p.start for p, end in zip(pieces, ends, strict=False))
    return follow and len(pieces) > 1 and dims is not None and ends[-1] == dims[axis]


def _fuse(graph: ir.Graph, x: ir.Value, axis: int, pieces: Sequence[_Piece], session: Session) -> bool:
    nodes = {p.slice for p in pieces}
    first = next(node for node in graph if node in nodes)
    if not session.spend(FuseSlicesIntoSplit.name, where(first)):
        return False
    inputs, attributes = _operands(graph, x, axis, [p.end - p.start for p in pieces], first, session)
    split = ir.Node(
        "", "Split", inputs, ir.convenience.convert_attributes(attributes), num_outputs=len(pieces),
        version=first.version, name=first.name,
    )  # fmt: skip
    graph.insert_before(first, split)
    for piece, part in zip(pieces, split.outputs, strict=True):
        replace_value(graph, piece.slice.outputs[0], part, fresh=True)
        split.metadata_props.update(piece.slice.metadata_props)
    for piece in pieces:
        remove_dead(v for v in remove_node(piece.slice) if v is not x)
    return True


def _operands(
    graph: ir.Graph, x: ir.Value, axis: int, sizes: Sequence[int], at: ir.Node, session: Session
) -> tuple[list[ir.Value], dict[str, int | Sequence[int]]]:
    """Inputs and attributes in the form of the opset; equal sizes go without saying as far as they can."""
    version = at.version or 1
    if len(set(sizes)) == 1:
        return [x], {"axis": axis, **({"num_outputs": len(sizes)} if version >= _COUNT_SINCE else {})}
    if version < _INPUT_SINCE:
        return [x], {"axis": axis, "split": sizes}
    tensor = ir.tensor(np.array(sizes, np.int64), name=session.fresh_name("split"))
    value = ir.Value(
        name=tensor.name, shape=ir.Shape((len(sizes),)), type=ir.TensorType(tensor.dtype), const_value=tensor
    )
    add_constant(graph, at, value, session)
    return [x, value], {"axis": axis}
