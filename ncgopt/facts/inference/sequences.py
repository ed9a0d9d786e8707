"""What comes out of a sequence: only where the operator that made it is beside the one that reads it."""

from __future__ import annotations

from ncgopt.facts import symbols
from ncgopt.facts.inference.view import NodeView
from ncgopt.facts.symbols import Dim
from ncgopt.facts.types import Shape, ValueType


def sequence_at(view: NodeView) -> ValueType | None:
    """SequenceAt: the part of what was split, for a position that is known; None where nothing is.

    A position outside the sequence ends the run (ONNX: "It's an error"), so nothing has to hold for it.
    """
    sequence = view.value(0)
    maker = sequence.producer() if sequence is not None else None
    if maker is None or maker.domain or maker.op_type != "SplitToSequence":
        return None
    split = NodeView(maker, view.type_of, view.contents_of, view.array_of)
    whole = split.type(0)
    position = view.dims(1)
    return ValueType(whole.dtype, _part(split, position[0] if position else None))


def _part(split: NodeView, position: Dim) -> Shape | None:
    dims = split.shape()
    axis = split.axis("axis", len(dims)) if dims is not None else None
    if dims is None or axis is None:
        return None
    before, after = dims[:axis], dims[axis + 1 :]
    if split.given(1):
        return (*before, _size(split, dims[axis], position), *after)
    return (*before, 1, *after) if split.int("keepdims") else (*before, *after)


def _size(split: NodeView, whole: Dim, position: Dim) -> Dim:
    """One number is the size of every part but a smaller last one; a list has the size of each."""
    lengths, rank = split.dims(1), split.shape(1)
    if lengths is None or rank is None or not isinstance(position, int):
        return None
    if rank:
        return lengths[position] if -len(lengths) <= position < len(lengths) else None
    step = lengths[0]
    if position < 0:
        count = symbols.ceil_div(whole, step) if isinstance(step, int) and step > 0 else None
        if not isinstance(count, int):
            return None
        position += count
    return symbols.minimum(step, symbols.sub(whole, symbols.mul(step, position)))
