"""The patterns that `rules.py` measures: one small model of realistic sizes for each rewrite.

`claimed` is what hand-made pairs of models gained when the rewrites were chosen (1 thread); the sizes there
were not the same, so that it is an order of magnitude to compare with and no target.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np
import onnx
from onnx import numpy_helper

Weights = Mapping[str, "tuple[int, ...] | np.ndarray"]


@dataclass(frozen=True)
class Pattern:
    """A model as text, its weights by shape (drawn at random) or by value, and the rule that rewrites it."""

    title: str
    rule: str
    claimed: str
    inputs: str
    body: str
    weights: Weights = field(default_factory=dict)
    opset: int = 17
    below: int = 4  # integer inputs are drawn from below this number

    def model(self) -> onnx.ModelProto:
        """The pattern as a model with one float output `y`."""
        text = (
            f'<ir_version: 9, opset_import: ["" : {self.opset}]>\ng ({self.inputs}) => (float[1] y) {{ {self.body} }}'
        )
        model = onnx.parser.parse_model(text)
        model.graph.output[0].type.tensor_type.ClearField("shape")
        rng = np.random.default_rng(0)
        for name, given in self.weights.items():
            array = given if isinstance(given, np.ndarray) else _drawn(rng, given)
            model.graph.initializer.append(numpy_helper.from_array(array, name))
        return model

    def feeds(self) -> dict[str, np.ndarray]:
        """Normal draws for floats, small numbers for integers."""
        rng = np.random.default_rng(1)
        found: dict[str, np.ndarray] = {}
        for value in self.model().graph.input:
            dims = [d.dim_value for d in value.type.tensor_type.shape.dim]
            integer = value.type.tensor_type.elem_type == onnx.TensorProto.INT64
            found[value.name] = rng.integers(0, self.below, dims) if integer else rng.standard_normal(dims, np.float32)
        return found


def _drawn(rng: np.random.Generator, shape: tuple[int, ...]) -> np.ndarray:
    return (rng.standard_normal(shape) / np.sqrt(max(1, np.prod(shape[1:])))).astype(np.float32)


def _f(*numbers: float) -> np.ndarray:
    return np.array(numbers[0] if len(numbers) == 1 else numbers, np.float32)


def _i(*numbers: int) -> np.ndarray:
    return np.array(numbers, np.int64)


_END = 2**31 - 1

REMOVED = (
    Pattern("OneHot(i) @ E -> Gather(E, i)", "replace-one-hot-matmul", "122", "int64[8, 64] n",
            "i = Mod(n, d)  h = OneHot(i, d, v)  y = MatMul(h, e)",
            {"d": np.array(5000, np.int64), "v": _f(0, 1), "e": (5000, 64)}, below=9999),
    Pattern("Conv1x1 -> GlobalAveragePool: swap", "reorder-conv-average-pool", "20", "float[1, 256, 14, 14] x",
            "t = Conv(x, w, b)  y = GlobalAveragePool(t)", {"w": (512, 256, 1, 1), "b": (512,)}),
    Pattern("Gather(E, i) @ W -> Gather(E @ W, i)", "fold-gather-matmul", "16", "int64[8, 128] i",
            "t = Gather(e, i)  y = MatMul(t, w)", {"e": (1000, 512), "w": (512, 256)}, below=1000),
    Pattern("(Q K) V -> Q (K V)", "reorder-matmul-chain", "7.9",
            "float[8, 1024, 64] q, float[8, 64, 1024] k, float[8, 1024, 64] v", "s = MatMul(q, k)  y = MatMul(s, v)"),
    Pattern("Gemm -> Gemm", "merge-linear-layers", "7.7", "float[64, 512] x",
            "t = Gemm(x, v, c)  y = Gemm(t, w, b)", {"v": (512, 2048), "c": (2048,), "w": (2048, 512), "b": (512,)}),
    Pattern("Gather of a row sinks above LayerNorm, MLP", "reorder-row-selection", "7.4", "float[4, 128, 256] x",
            "n = LayerNormalization(x, s, h)  t = MatMul(n, v)  a = Add(t, c)  r = Relu(a)  u = MatMul(r, w)  "
            "z = Add(u, x)  y = Gather<axis = 1>(z, i)",
            {"s": (256,), "h": (256,), "v": (256, 1024), "c": (1024,), "w": (1024, 256), "i": np.array(0, np.int64)}),
    Pattern("Expand delayed past MatMul and elementwise", "reorder-expand", "6.6", "float[1, 128, 256] x",
            "t = Expand(x, s)  u = MatMul(t, w)  a = Add(u, b)  y = Tanh(a)",
            {"s": _i(8, 128, 256), "w": (256, 256), "b": (256,)}),
    Pattern("MaxPool k x k -> separable", "split-max-pool", "6.0", "float[1, 64, 56, 56] x",
            "y = MaxPool<kernel_shape = [13, 13], pads = [6, 6, 6, 6]>(x)"),
    Pattern("Slice of MatMul columns -> slice the weights", "fold-slice-into-matmul", "4.0", "float[128, 512] x",
            "t = MatMul(x, w)  y = Slice(t, s, e, a)",
            {"w": (512, 1024), "s": _i(0), "e": _i(256), "a": _i(1)}),
    Pattern("Slice of Conv channels -> slice the weights", "fold-slice-into-conv", "4.0", "float[1, 64, 28, 28] x",
            "t = Conv<pads = [1, 1, 1, 1]>(x, w, b)  y = Slice(t, s, e, a)",
            {"w": (256, 64, 3, 3), "b": (256,), "s": _i(0), "e": _i(64), "a": _i(1)}),
    Pattern("Conv stride 1 -> Slice[::2] -> Conv stride 2", "fold-slice-into-conv-strides", "3.8",
            "float[1, 64, 56, 56] x", "t = Conv<pads = [1, 1, 1, 1]>(x, w)  y = Slice(t, s, e, a, k)",
            {"w": (64, 64, 3, 3), "s": _i(0, 0), "e": _i(_END, _END), "a": _i(2, 3), "k": _i(2, 2)}),
    Pattern("SPP 5/9/13 -> chained 5, 5, 5", "fuse-max-pool-pyramid", "3.6", "float[1, 256, 20, 20] x",
            "a = MaxPool<kernel_shape = [5, 5], pads = [2, 2, 2, 2]>(x)  "
            "b = MaxPool<kernel_shape = [9, 9], pads = [4, 4, 4, 4]>(x)  "
            "c = MaxPool<kernel_shape = [13, 13], pads = [6, 6, 6, 6]>(x)  y = Concat<axis = 1>(x, a, b, c)"),
    Pattern("Conv1x1 -> AveragePool2: swap", "reorder-conv-average-pool", "2.8", "float[1, 128, 56, 56] x",
            "t = Conv(x, w, b)  y = AveragePool<kernel_shape = [2, 2], strides = [2, 2]>(t)",
            {"w": (128, 128, 1, 1), "b": (128,)}),
    Pattern("Conv k x k -> Conv1x1: merge", "merge-pointwise-conv", "2.1", "float[1, 64, 56, 56] x",
            "t = Conv<pads = [1, 1, 1, 1]>(x, v, c)  y = Conv(t, w, b)",
            {"v": (128, 64, 3, 3), "c": (128,), "w": (64, 128, 1, 1), "b": (64,)}),
    Pattern("Conv1x1 -> Conv k x k: merge", "merge-pointwise-conv", "2.1", "float[1, 32, 56, 56] x",
            "t = Conv(x, v)  y = Conv<pads = [1, 1, 1, 1]>(t, w, b)",
            {"v": (128, 32, 1, 1), "w": (32, 128, 3, 3), "b": (32,)}),
    Pattern("xW + zW -> (x + z)W", "merge-parallel-products", "1.95", "float[128, 512] x, float[128, 512] z",
            "s = MatMul(x, w)  t = MatMul(z, w)  y = Add(s, t)", {"w": (512, 512)}),
    Pattern("Conv(x, V) + Conv(x, W) -> Conv(x, V + W)", "merge-parallel-convolutions", "1.95",
            "float[1, 64, 56, 56] x",
            "s = Conv<pads = [1, 1, 1, 1]>(x, v)  t = Conv<pads = [1, 1, 1, 1]>(x, w)  y = Add(s, t)",
            {"v": (64, 64, 3, 3), "w": (64, 64, 3, 3)}),
    Pattern("Resize nearest 2x -> Conv3", "replace-conv-of-upsampled", "1.5", "float[1, 64, 32, 32] x",
            'r = Resize<coordinate_transformation_mode = "asymmetric", mode = "nearest", nearest_mode = "floor">'
            "(x, none, scales)  y = Conv<pads = [1, 1, 1, 1]>(r, w, b)",
            {"none": np.zeros(0, np.float32), "scales": _f(1, 1, 2, 2), "w": (64, 64, 3, 3), "b": (64,)}),
    Pattern("YOLO Focus", "fuse-slices-into-space-to-depth", "1.4", "float[1, 3, 320, 320] x",
            "p = Slice(x, s00, e, a, k)  q = Slice(x, s10, e, a, k)  r = Slice(x, s01, e, a, k)  "
            "s = Slice(x, s11, e, a, k)  t = Concat<axis = 1>(p, q, r, s)  y = Conv<pads = [1, 1, 1, 1]>(t, w)",
            {"s00": _i(0, 0), "s10": _i(1, 0), "s01": _i(0, 1), "s11": _i(1, 1), "e": _i(_END, _END), "a": _i(2, 3),
             "k": _i(2, 2), "w": (32, 12, 3, 3)}),
    Pattern("RepVGG 3x3 + 1x1 + identity -> 3x3", "merge-parallel-convolutions", "1.15", "float[1, 64, 28, 28] x",
            "s = Conv<pads = [1, 1, 1, 1]>(x, v, b)  t = Conv(x, w, c)  u = Add(s, t)  "
            "n = BatchNormalization(x, g, h, mean, var)  y = Add(u, n)",
            {"v": (64, 64, 3, 3), "b": (64,), "w": (64, 64, 1, 1), "c": (64,), "g": (64,), "h": (64,), "mean": (64,),
             "var": np.ones(64, np.float32)}),
    Pattern("LoRA xW + (xA)B -> x(W + AB)", "merge-parallel-products", "1.12", "float[128, 512] x",
            "s = MatMul(x, w)  t = MatMul(x, a)  u = MatMul(t, b)  y = Add(s, u)",
            {"w": (512, 512), "a": (512, 16), "b": (16, 512)}),
    Pattern("channel shuffle into weights", "fold-channel-shuffle-into-conv", "1.1", "float[1, 128, 28, 28] x",
            "c = Conv(x, v)  t = Reshape(c, s)  u = Transpose<perm = [0, 2, 1, 3, 4]>(t)  r = Reshape(u, d)  "
            "y = Conv(r, w)",
            {"s": _i(1, 4, 32, 28, 28), "d": _i(1, 128, 28, 28), "v": (128, 128, 1, 1), "w": (64, 128, 1, 1)}),
    Pattern("BN -> Conv forwards", "fold-affine-into-next-conv", "1.09", "float[1, 64, 56, 56] x",
            "n = BatchNormalization(x, g, h, mean, var)  y = Conv(n, w, b)",
            {"g": (64,), "h": (64,), "mean": (64,), "var": np.ones(64, np.float32), "w": (64, 64, 1, 1), "b": (64,)}),
)  # fmt: skip

CHEAPER = (
    Pattern("Pow 0.5 -> Sqrt", "replace-pow-root", "8-18", "float[128, 1024] x", "s = Relu(x)  y = Pow(s, e)",
            {"e": _f(0.5)}),
    Pattern("Pow 4 -> Mul", "replace-pow-root", "8-18", "float[128, 1024] x", "y = Pow(x, e)", {"e": _f(4.0)}),
    Pattern("Pow 1.5 -> x Sqrt(x)", "replace-pow-root", "8-18", "float[128, 1024] x", "s = Sigmoid(x)  y = Pow(s, e)",
            {"e": _f(1.5)}),
    Pattern("Pow -1 -> Reciprocal", "replace-pow-reciprocal", "8-18", "float[128, 1024] x", "y = Pow(x, e)",
            {"e": _f(-1.0)}),
    Pattern("Log(Softmax) -> LogSoftmax", "fuse-log-softmax", "4.4", "float[64, 1000] x",
            "s = Softmax<axis = 1>(x)  y = Log(s)"),
    Pattern("Add chain with constants", "fuse-add-constants", "3.4", "float[128, 1024] x",
            "a = Add(x, p)  b = Add(a, q)  y = Add(b, r)", {"p": _f(1.5), "q": _f(2.5), "r": _f(0.1)}),
    Pattern("affine chain", "fuse-affine-chain", "1.9", "float[128, 1024] x",
            "a = Mul(x, p)  b = Add(a, q)  c = Mul(b, r)  y = Add(c, s)",
            {"p": _f(1.5), "q": _f(2.5), "r": _f(0.1), "s": (1024,)}),
    Pattern("Split -> Concat identity", "eliminate-split-concat", "3.1", "float[128, 1024] x",
            "a, b = Split<axis = 1>(x)  c = Concat<axis = 1>(a, b)  y = Neg(c)"),
    Pattern("Slice -> Slice", "fuse-slices", "3.1", "float[128, 1024] x",
            "a = Slice(x, p, q, r)  y = Slice(a, p, s, r)",
            {"p": _i(1), "q": _i(1000), "r": _i(1), "s": _i(100)}),
    Pattern("Concat -> Concat", "fuse-concats", "3.1", "float[128, 512] x, float[128, 512] z",
            "a = Concat<axis = 1>(x, z)  y = Concat<axis = 1>(a, x)"),
    Pattern("Mul -> Mul", "fuse-mul-constants", "3.1", "float[128, 1024] x", "a = Mul(x, p)  y = Mul(a, q)",
            {"p": _f(1.5), "q": _f(2.5)}),
    Pattern("Relu -> Relu", "eliminate-noop-relu", "3.1", "float[128, 1024] x", "a = Relu(x)  b = Relu(a)  y = Neg(b)"),
    Pattern("erf-GELU, operands in another order", "fuse-gelu-for-onnxruntime", "1.3-2.7", "float[128, 1024] x",
            "a = Mul(x, r)  e = Erf(a)  p = Add(one, e)  q = Mul(half, x)  y = Mul(p, q)",
            {"r": _f(0.70710678), "one": _f(1), "half": _f(0.5)}),
    Pattern("RMSNorm written with Mul, Reciprocal", "fuse-simplified-layer-normalization", "2.0-2.5",
            "float[128, 1024] x",
            "s = Mul(x, x)  m = ReduceMean<axes = [-1]>(s)  a = Add(m, eps)  q = Sqrt(a)  r = Reciprocal(q)  "
            "n = Mul(x, r)  y = Mul(n, g)", {"eps": _f(1e-6), "g": (1024,)}),
    Pattern("LayerNorm written with Mul(d, d)", "fuse-layer-normalization", "2.0-2.5", "float[128, 1024] x",
            "m = ReduceMean<axes = [-1]>(x)  d = Sub(x, m)  s = Mul(d, d)  v = ReduceMean<axes = [-1]>(s)  "
            "a = Add(v, eps)  q = Sqrt(a)  n = Div(d, q)  p = Mul(n, g)  y = Add(p, h)",
            {"eps": _f(1e-5), "g": (1024,), "h": (1024,)}),
    Pattern("Pow 2 -> Mul", "replace-pow-square", "2.0", "float[128, 1024] x", "y = Pow(x, e)", {"e": _f(2.0)}),
    Pattern("Div by a constant -> Mul", "replace-div-by-power-of-two", "2.0", "float[128, 1024] x", "y = Div(x, e)",
            {"e": _f(8.0)}),
    Pattern("Pad(-inf) -> MaxPool", "fold-pad-into-pool", "1.8", "float[1, 64, 56, 56] x",
            "t = Pad(x, p, low)  y = MaxPool<kernel_shape = [3, 3], strides = [2, 2]>(t)",
            {"p": _i(0, 0, 1, 1, 0, 0, 1, 1), "low": _f(-np.inf)}),
    Pattern("MaxPool(f(x)) -> f(MaxPool(x))", "reorder-activation-after-max-pool", "1.65", "float[1, 64, 56, 56] x",
            "t = Sigmoid(x)  y = MaxPool<kernel_shape = [2, 2], strides = [2, 2]>(t)"),
    Pattern("PRelu of one slope between convolutions", "replace-prelu", "1.65", "float[1, 64, 56, 56] x",
            "c = Conv(x, w)  p = PRelu(c, s)  y = Conv(p, v)",
            {"w": (64, 64, 1, 1), "v": (64, 64, 1, 1), "s": np.full((64, 1, 1), 0.25, np.float32)}),
    Pattern("x / (1 + exp(-x)) -> x Sigmoid(x)", "fuse-silu", "1.7", "float[128, 1024] x",
            "n = Neg(x)  e = Exp(n)  a = Add(one, e)  y = Div(x, a)", {"one": _f(1)}),
    Pattern("HardSwish by Clip", "fuse-hard-swish-into-hard-sigmoid", "1.7", "float[128, 1024] x",
            "a = Add(x, three)  c = Clip(a, zero, six)  m = Mul(x, c)  y = Div(m, six)",
            {"three": _f(3), "zero": _f(0), "six": _f(6)}),
    Pattern("Mish", "fuse-mish", "1.7", "float[128, 1024] x", "s = Softplus(x)  t = Tanh(s)  y = Mul(x, t)", opset=18),
    Pattern("Einsum -> MatMul", "replace-einsum", "1.2-1.4", "float[4, 128, 256] x",
            'y = Einsum<equation = "bsd,de->bse">(x, w)', {"w": (256, 256)}),
    Pattern("Expand before a broadcasting Add", "eliminate-expand-before-broadcast", "1.2-1.4",
            "float[1, 1, 256] x, float[8, 128, 256] z", "t = Expand(x, s)  y = Add(t, z)", {"s": _i(8, 128, 256)}),
    Pattern("Relu of what is positive", "eliminate-relu-by-range", "1.2-1.4", "float[128, 1024] x",
            "e = Exp(x)  a = Add(e, one)  r = Relu(a)  y = Sqrt(r)", {"one": _f(1)}),
)  # fmt: skip

WHOLE = (
    Pattern("CastLike of a zero bias", "replace-cast-like", "1.2-2.5", "float[1, 64, 56, 56] x",
            "b = CastLike(z, x)  c = Conv<pads = [1, 1, 1, 1]>(x, w, b)  "
            "n = BatchNormalization(c, g, h, mean, var)  y = Relu(n)",
            {"z": np.zeros(64, np.float64), "w": (64, 64, 3, 3), "g": (64,), "h": (64,), "mean": (64,),
             "var": np.ones(64, np.float32)}),
    Pattern("scale and shift between convolutions: folded", "fold-affine-into-next-conv", "1.2-1.4",
            "float[1, 64, 56, 56] x", "c = Conv(x, v)  r = Relu(c)  m = Mul(f, r)  a = Add(m, h)  y = Conv(a, w)",
            {"v": (64, 64, 1, 1), "w": (64, 64, 1, 1), "f": _f(1.5), "h": _f(0.25)}),
    Pattern("scale and shift before padding: BatchNormalization", "fuse-affine-into-batch-norm", "1.2-1.4",
            "float[1, 96, 56, 56] x",
            "c = Conv(x, v)  r = Relu(c)  m = Mul(f, r)  a = Add(m, h)  "
            "y = Conv<group = 96, pads = [1, 1, 1, 1]>(a, w)",
            {"v": (96, 96, 1, 1), "w": (96, 1, 3, 3), "f": _f(1.5), "h": _f(0.25)}),
    Pattern("HardSwish behind a convolution", "fuse-hard-sigmoid", "1.1-1.5", "float[1, 64, 56, 56] x",
            "c = Conv(x, v)  a = Add(c, three)  k = Clip(a, zero, six)  d = Div(k, six)  m = Mul(c, d)  y = Conv(m, w)",
            {"v": (64, 64, 1, 1), "w": (64, 64, 1, 1), "three": _f(3), "zero": _f(0), "six": _f(6)}),
    Pattern("ScatterElements(add) of rows -> ScatterND", "replace-scatter-elements", "1.45",
            "float[256, 64] x, int64[4096, 1] i, float[4096, 64] u",
            'e = Expand(i, s)  y = ScatterElements<axis = 0, reduction = "add">(x, e, u)', {"s": _i(4096, 64)},
            opset=18, below=256),
    Pattern("output-phase convolution", "replace-few-channel-conv", "1.9", "float[1, 32, 64, 512] x",
            "y = Conv<pads = [0, 4, 0, 4]>(x, w, b)", {"w": (1, 32, 1, 9), "b": (1,)}),
    Pattern("LRN -> Conv1x1 and square roots", "replace-lrn", "1.4-1.5 whole", "float[1, 96, 27, 27] x",
            "y = LRN<size = 5, alpha = 0.0001, beta = 0.75, bias = 1.0>(x)"),
    Pattern("Conv1x1(Resize(x)) -> Resize(Conv1x1(x))", "reorder-conv-resize", "1.4-1.7", "float[1, 256, 16, 16] x",
            'r = Resize<coordinate_transformation_mode = "half_pixel", mode = "linear">(x, none, scales)  '
            "y = Conv(r, w, b)",
            {"none": np.zeros(0, np.float32), "scales": _f(1, 1, 4, 4), "w": (64, 256, 1, 1), "b": (64,)}),
    Pattern("Conv1x1(Concat(Resize ...)) -> sum", "reorder-conv-concat", "1.4-1.7",
            "float[1, 128, 8, 8] p, float[1, 128, 16, 16] q, float[1, 128, 32, 32] s",
            'a = Resize<coordinate_transformation_mode = "half_pixel", mode = "linear">(p, none, four)  '
            'b = Resize<coordinate_transformation_mode = "half_pixel", mode = "linear">(q, none, two)  '
            "c = Concat<axis = 1>(a, b, s)  y = Conv(c, w, k)",
            {"none": np.zeros(0, np.float32), "four": _f(1, 1, 4, 4), "two": _f(1, 1, 2, 2), "w": (128, 384, 1, 1),
             "k": (128,)}),
    Pattern("chain of small Conv1D -> Conv2D", "replace-small-conv-1d", "1.30", "float[1, 128, 16] x",
            "a = Conv<pads = [1, 1]>(x, v)  r = Relu(a)  b = Conv<pads = [1, 1], strides = [2]>(r, w)  s = Relu(b)  "
            "c = Conv<pads = [1, 1]>(s, u)  y = Relu(c)",
            {"v": (128, 128, 3), "w": (64, 128, 3), "u": (64, 64, 3)}),
    Pattern("Add -> Sum before LayerNormalization", "replace-add-before-normalization", "1.02-1.07 whole",
            "float[1, 128, 768] x, float[1, 128, 768] z", "t = Add(x, z)  y = LayerNormalization(t, s, b)",
            {"s": (768,), "b": (768,)}),
    Pattern("Softmax to the last axis", "reorder-softmax-transpose", "1.05", "float[1, 4, 16, 2100] x",
            "t = Transpose<perm = [0, 2, 1, 3]>(x)  s = Softmax<axis = 1>(t)  y = Conv(s, w)", {"w": (1, 16, 1, 1)}),
)  # fmt: skip

PATTERNS = (*REMOVED, *CHEAPER, *WHOLE)
