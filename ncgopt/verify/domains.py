"""What the values of an input mean to the model, read off the operators that consume them.

A walk from the graph input through operators that only move values around (Cast, Reshape, Add of
a constant, bodies of loops ...) to the first operator that gives them a meaning: an index into a
table, a part of a shape, a mask, a condition. Everything here is a guess about *useful* data; a
wrong guess costs a refused run, never a wrong verdict.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import Any

import numpy as np

from ncgopt.verify.graph import GraphView, Use, attribute, nested
from ncgopt.verify.inputs import Choice, Condition, Dim, Divisor, Domain, Exact, Free, Index, Mask, Size, TensorType

_STEPS = 300

_MOVES = {
    *("Cast", "CastLike", "Identity", "Reshape", "Squeeze", "Unsqueeze", "Flatten", "Transpose", "Expand", "Tile"),
    *("Concat", "Slice", "Split", "Clip", "Max", "Min", "Abs", "Dropout", "Pad", "Floor", "Round", "Ceil"),
    *("OptionalGetElement", "SequenceAt", "SequenceConstruct", "ConcatFromSequence", "Optional", "Gather"),
}
_CONTENT_SLOT = {"Pad": 0, "Expand": 0, "Tile": 0, "Reshape": 0, "Slice": 0, "Split": 0, "Clip": 0, "Gather": 0}
# (operator, slot) -> the slot counts or measures something.
_SIZES = {
    *((op, 1) for op in ("Tile", "TopK", "CenterCropPad", "DFT", "Upsample", "Trilu", "AffineGrid", "MelWeightMatrix")),
    *(("Range", slot) for slot in (0, 1, 2)),
    *(("Resize", 2), ("Loop", 0), ("OneHot", 1), ("NonMaxSuppression", 2), ("MelWeightMatrix", 0)),
    *(("BlackmanWindow", 0), ("HannWindow", 0), ("HammingWindow", 0)),
}
_DIVISORS = {("Mod", 1), ("Div", 1), ("BitShift", 1)}
# A shape that the result will have: the graph often says which one that is.
_SHAPES = {("Reshape", 1), ("Expand", 1), ("Resize", 3), ("ConstantOfShape", 0), ("CenterCropPad", 1)}
_AXES = (0, 1, 2, 3, 4, 5, 6, 7)
_CONTENTS: Mapping[tuple[str, int], tuple[tuple[int, ...], ...]] = {
    ("Slice", 1): ((0,), (1,)),
    ("Slice", 2): ((1000,), (3,)),
    ("Slice", 3): (_AXES,),
    ("Slice", 4): ((1,), (2,)),
    ("Pad", 1): ((1,), (0, 2)),
    ("Pad", 3): (_AXES,),
    ("Unsqueeze", 1): (_AXES,),
    ("CumSum", 1): ((0,), (-1,)),
}
_MASKING = {"Where", "Not", "And", "Or", "Xor"}


def domain_of(view: GraphView, name: str, kind: TensorType) -> Domain:
    """The most restricting meaning that the consumers of graph input `name` give to it."""
    found = list(_meanings(view, name))
    if "mask" in name.lower() and kind.dtype not in {"float32", "float16", "float64", "bfloat16"}:
        return Mask()
    choices = tuple(sorted({value for choice in found if isinstance(choice, Choice) for value in choice.values}))
    indices = [index for index in found if isinstance(index, Index)]
    numbers = [index for index in indices if isinstance(index.size, int)]
    if numbers:
        return min(numbers, key=lambda index: (int(index.size), index.low))
    if indices:
        return indices[0]
    whole = kind.dtype.startswith(("int", "uint"))
    if choices and whole:
        return Choice(choices)
    for wanted in (Condition, Exact, Size, Mask):
        for meaning in found:
            if isinstance(meaning, wanted):
                return meaning
    return Mask() if "mask" in name.lower() and kind.dtype != "bool" and not found else Free()


def _meanings(view: GraphView, name: str) -> Iterator[Domain]:
    """Walk on from `name`; yields every meaning met.

    On the way, `shift` is what was added, and `whole` says that nothing was cut off or put beside it.
    """
    todo: list[tuple[str, int, bool]] = [(name, 0, True)]
    seen: set[str] = set()
    while todo and len(seen) < _STEPS:
        value, shift, whole = todo.pop(0)
        if value in seen:
            continue
        seen.add(value)
        todo.extend((alias, shift, whole) for alias in view.aliases.get(value, ()))
        for use in view.uses.get(value, ()):
            meaning = _meaning(view, use)
            if isinstance(meaning, Index):
                yield Index(meaning.size, -shift)
            elif meaning is not None:
                yield Size() if isinstance(meaning, Exact) and not whole else meaning
            else:
                onward = _onward(view, use)
                intact = whole and use.node.op_type in {"Cast", "Identity"}
                todo.extend((output, shift + onward, intact) for output in use.node.output if onward is not None)


def _onward(view: GraphView, use: Use) -> int | None:
    """What is added to the value when it passes this node; None where the walk ends."""
    node = use.node
    if node.op_type in _MOVES:
        return 0 if use.slot == _CONTENT_SLOT.get(node.op_type, use.slot) else None
    if node.op_type == "Where" and use.slot > 0:
        return 0
    if node.op_type in {"Add", "Sub"} and len(node.input) == 2:
        other = view.constants.get(node.input[1 - use.slot])
        if other is None or other.size == 0:
            return 0 if node.op_type == "Add" else None
        amount = int(np.max(other)) if np.isfinite(np.max(other)) else 0
        if node.op_type == "Add":
            return amount
        return -amount if use.slot == 0 else None
    return None


def _meaning(view: GraphView, use: Use) -> Domain | None:
    node, slot = use.node, use.slot
    special = _SPECIAL.get(node.op_type)
    if special is not None:
        return special(view, use)
    if node.op_type.startswith("Reduce") and slot == 1:
        return Exact((_AXES, _AXES[1:]))
    if (node.op_type, slot) in _CONTENTS:
        return Exact(_CONTENTS[node.op_type, slot])
    if (node.op_type, slot) in _SHAPES:
        return _target(view, node)
    if node.op_type == "If":
        return Condition()
    if (node.op_type, slot) in _DIVISORS:
        return Divisor()
    if (node.op_type, slot) in _SIZES:
        return Size()
    if node.op_type in _MASKING and (slot == 0 or node.op_type != "Where"):
        return Mask()
    return None


def _target(view: GraphView, node: Any) -> Domain:
    """The shape that the output is known to have; else one that always works, where there is one."""
    shape = view.shapes.get(node.output[0], ())
    known = tuple(size for size in shape if isinstance(size, int))
    if shape and len(known) == len(shape):
        return Exact((known,))
    match node.op_type:
        case "Reshape":
            return Exact(((-1, 1), (1, -1)) if len(shape) == 2 else ((-1, 1),))
        case "Expand":
            return Exact(((1,),))
        case _:
            return Size()


def _split(view: GraphView, use: Use) -> Domain | None:
    """Lengths of the parts: as the outputs are known to be, else equal parts of the whole."""
    if use.slot != 1:
        return None
    node = use.node
    axis = int(attribute(node, "axis", 0))
    if node.op_type == "SplitToSequence":
        return _equal_parts(_size(view, node.input[0], axis), view.shapes.get(node.input[1], (1,)))
    parts = [_size(view, output, axis) for output in node.output]
    whole = _size(view, node.input[0], axis)
    known = tuple(part for part in parts if isinstance(part, int))
    if isinstance(whole, int) and sum(known) != whole:
        known = tuple(len(part) for part in np.array_split(np.arange(whole), len(node.output)))
    return Exact((known,)) if len(known) == len(parts) else Size()


def _equal_parts(whole: Dim, shape: tuple[Dim | None, ...]) -> Domain:
    """Lengths for SplitToSequence: a scalar is the length of every part, a list has one per part."""
    count = shape[0] if shape else None
    if not isinstance(whole, int) or not isinstance(count, int):
        return Size(1)
    return Exact((tuple(len(part) for part in np.array_split(np.arange(whole), count)),))


def _squeeze(view: GraphView, use: Use) -> Domain | None:
    if use.slot != 1:
        return None
    shape = view.shapes.get(use.node.input[0], ())
    ones = tuple(axis for axis, size in enumerate(shape) if size == 1)
    return Exact((ones or _AXES,))


def _table(position: int, axis_default: int | None) -> Callable[[GraphView, Use], Domain | None]:
    """Meaning of the index slot of an operator that looks up along an axis of its first input."""

    def meaning(view: GraphView, use: Use) -> Domain | None:
        if use.slot != position:
            return None
        axis = 0 if axis_default is None else int(attribute(use.node, "axis", axis_default))
        return Index(_size(view, use.node.input[0], axis))

    return meaning


def _nd_table(view: GraphView, use: Use) -> Domain | None:
    """GatherND and ScatterND: each index is a tuple; the smallest indexed dimension is safe for all."""
    if use.slot != 1:
        return None
    data = view.shapes.get(use.node.input[0], ())
    indices = view.shapes.get(use.node.input[1], ())
    depth = indices[-1] if indices and isinstance(indices[-1], int) else len(data)
    known = [size for size in data[:depth] if isinstance(size, int)]
    return Index(min(known) if known else 1)


def _one_hot(view: GraphView, use: Use) -> Domain | None:
    if use.slot == 1:
        return Size()
    depth = view.constants.get(use.node.input[1])
    return Index(int(depth.reshape(-1)[0]) if depth is not None and depth.size else 2) if use.slot == 0 else None


def _embed_layer(view: GraphView, use: Use) -> Domain | None:
    """EmbedLayerNormalization: word ids, segment ids, then tables; position ids in slot 8."""
    table = {0: 2, 1: 4, 8: 3}.get(use.slot)
    if use.slot == 7:
        return Mask()
    return None if table is None else Index(_size(view, use.node.input[table], 0))


def _compared(view: GraphView, use: Use) -> Domain | None:
    other = view.constants.get(use.node.input[1 - use.slot])
    if other is None or other.dtype.kind not in "iufb" or not 0 < other.size <= 16:
        return None
    values = other.reshape(-1).astype(np.float64)
    if use.node.op_type != "Equal":
        values = np.concatenate([values - 1, values, values + 1])
    return Choice(tuple(float(value) for value in np.unique(values)))


def _loop(view: GraphView, use: Use) -> Domain | None:
    del view
    return {0: Size(), 1: Condition()}.get(use.slot)


def _beam_search(view: GraphView, use: Use) -> Domain | None:
    """BeamSearch and GreedySearch: ids, lengths and counts; the decoder's own table bounds the ids."""
    if use.slot == 0:
        vocabulary = attribute(use.node, "vocab_size", 0)
        return Index(int(vocabulary) if vocabulary and vocabulary > 0 else _decoder_table(view, use.node))
    usual = {1: 12, 2: 1, 3: 3, 4: 1}.get(use.slot)  # longest, shortest, beams, returned beams
    return None if usual is None else Size(usual)


def _decoder_table(view: GraphView, node: Any) -> int:
    for found in node.attribute:
        if found.name == "decoder":
            meanings = list(_meanings(nested(view, found.g), found.g.input[0].name))
            sizes = [m.size for m in meanings if isinstance(m, Index) and isinstance(m.size, int)]
            if sizes:
                return min(sizes)
    return 2


def _position(view: GraphView, use: Use) -> Domain | None:
    """RotaryEmbedding: position ids (slot 1 of com.microsoft, slot 3 of ONNX) into the cosine cache."""
    if use.node.domain == "com.microsoft":
        return Index(_size(view, use.node.input[2], 0)) if use.slot == 1 else None
    return Index(_size(view, use.node.input[1], 0)) if use.slot == 3 else None


def _size(view: GraphView, value: str, axis: int) -> Dim:
    """Size of a dimension; where it is unknown, 1 is the only size that is surely there."""
    shape = view.shapes.get(value, ())
    if not -len(shape) <= axis < len(shape):
        return 1
    size = shape[axis]
    return 1 if size is None else size


_SPECIAL: Mapping[str, Callable[[GraphView, Use], Domain | None]] = {
    "Split": _split,
    "SplitToSequence": _split,
    "Squeeze": _squeeze,
    "Gather": _table(1, 0),
    "GatherElements": _table(1, 0),
    "ScatterElements": _table(1, 0),
    "Scatter": _table(1, 0),
    "ArrayFeatureExtractor": _table(1, -1),
    "SequenceAt": _table(1, None),
    "GatherND": _nd_table,
    "ScatterND": _nd_table,
    "TensorScatter": _nd_table,
    "OneHot": _one_hot,
    "EmbedLayerNormalization": _embed_layer,
    "Equal": _compared,
    "Greater": _compared,
    "Less": _compared,
    "GreaterOrEqual": _compared,
    "LessOrEqual": _compared,
    "Loop": _loop,
    "BeamSearch": _beam_search,
    "GreedySearch": _beam_search,
    "RotaryEmbedding": _position,
}
