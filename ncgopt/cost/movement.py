"""Operators that compute nothing: they move, pick, make or relabel data, at 0 FLOPs."""

from __future__ import annotations

from collections.abc import Callable

from ncgopt.cost.sized import Sized

# A new view of the same bytes: ONNX Runtime's planner reuses the input's buffer. Shape and Size read
# no data at all.
VIEWS = frozenset(
    ("", op) for op in ["Dropout", "Flatten", "Identity", "Reshape", "Shape", "Size", "Squeeze", "Unsqueeze"]
)

# Read only as many elements of input 0 as they give out.
PICKS = frozenset(("", op) for op in ["Gather", "GatherElements", "GatherND", "Slice"])

_MOVES = [
    "Cast",
    "CastLike",
    "CenterCropPad",
    "Col2Im",
    "Compress",
    "Concat",
    "ConstantOfShape",
    "DepthToSpace",
    "Expand",
    "EyeLike",
    "NonZero",
    "OneHot",
    "Pad",
    "RandomNormal",
    "RandomNormalLike",
    "RandomUniform",
    "RandomUniformLike",
    "Range",
    "ReverseSequence",
    "Scatter",
    "ScatterElements",
    "ScatterND",
    "SpaceToDepth",
    "Split",
    "TensorScatter",
    "Tile",
    "Transpose",
    "Trilu",
]


def _nothing(sized: Sized) -> int:
    return 0


COUNTERS: dict[tuple[str, str], Callable[[Sized], int]] = dict.fromkeys(
    (*VIEWS, *PICKS, *(("", op) for op in _MOVES)), _nothing
)
