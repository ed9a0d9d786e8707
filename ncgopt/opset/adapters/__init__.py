"""How one node gets from one version of its operator to the next, where that takes more than the number.

An entry is named by the operator and by the version that introduced its new form. Everything that
is not listed here is accepted only where the new form extends the old one (`extension.py`).

ONNX's own converter is not used: it drops local functions and the metadata of nodes, adds value infos,
copies every weight, and knows no adapter for many of these steps.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping

from ncgopt.opset.adapters import broadcasting, inputs, normalization, renamed, sampling, softmax
from ncgopt.opset.site import Site

Adapter = Callable[[Site], None]

REVIEWED = 28
"""The newest operator set whose changes were read for changes of meaning; beyond, nobody looked."""

_REDUCTIONS = (
    "ReduceL1", "ReduceL2", "ReduceLogSum", "ReduceLogSumExp", "ReduceMax", "ReduceMean", "ReduceMin", "ReduceProd",
    "ReduceSumSquare",
)  # fmt: skip
_WITH_HINT = (
    "Abs", "Ceil", "Elu", "Exp", "Floor", "HardSigmoid", "InstanceNormalization", "LeakyRelu", "Log", "Max", "Mean",
    "Min", "Neg", "PRelu", "Reciprocal", "Relu", "Sigmoid", "Sqrt", "Sum", "Tanh",
)  # fmt: skip

ADAPTERS: Mapping[tuple[str, int], Adapter] = {
    ("Concat", 4): renamed.concat,
    ("Reshape", 5): inputs.reshape,
    ("Cast", 6): renamed.cast,
    **{(name, 6): renamed.in_place_hint for name in (*_WITH_HINT, "Add", "Sub", "Mul", "Div", "Dropout")},
    ("BatchNormalization", 6): renamed.in_place_hint,
    **{(name, 7): broadcasting.binary for name in ("Add", "Sub", "Mul", "Div", "Pow")},
    **{(name, 7): broadcasting.binary for name in ("And", "Or", "Xor", "Equal", "Greater", "Less")},
    ("PRelu", 7): broadcasting.prelu,
    ("Gemm", 7): renamed.no_broadcast_flag,
    ("BatchNormalization", 7): normalization.test_mode,
    ("Dropout", 7): normalization.test_mode,
    **{(name, 7): renamed.sequence_hint for name in ("GRU", "LSTM", "RNN")},
    ("BatchNormalization", 9): normalization.spatial,
    ("Upsample", 9): inputs.upsample,
    ("Dropout", 10): normalization.mask,
    ("Slice", 10): inputs.slice_,
    ("TopK", 10): inputs.top_k,
    ("Upsample", 10): sampling.upsample,
    ("Clip", 11): inputs.clip,
    ("ConvTranspose", 11): renamed.conv_transpose,
    ("OneHot", 11): inputs.one_hot,
    ("Pad", 11): inputs.pad,
    ("Resize", 11): sampling.resize,
    ("Scatter", 11): renamed.scatter,
    ("Dropout", 12): normalization.dropout,
    **{(name, 13): softmax.along_one_axis for name in ("Softmax", "LogSoftmax", "Hardmax")},
    ("ReduceSum", 13): inputs.axes,
    ("Resize", 13): sampling.resize_by_one,
    ("Split", 13): inputs.split,
    ("Squeeze", 13): inputs.axes,
    ("Unsqueeze", 13): inputs.unsqueeze,
    ("BatchNormalization", 14): normalization.inference,
    ("RoiAlign", 16): sampling.roi_align,
    **{(name, 18): inputs.axes for name in _REDUCTIONS},
    ("Split", 18): inputs.split_evenly,
    ("DFT", 20): inputs.dft,
    ("GridSample", 20): sampling.grid_sample,
    ("GroupNormalization", 21): normalization.group_normalization,
    ("Range", 27): renamed.range_,
}
"""Adapters by operator and version."""
