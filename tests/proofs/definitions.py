"""Operators that are made of others: the normalizations, and those of ONNX Runtime's own.

Each as docs/ContribOperators.md of ONNX Runtime, or the ONNX specification, defines it.
"""

from __future__ import annotations

import numpy as np
from onnx import TensorProto

from proofs.contractions import scaled
from proofs.execute import CannotExecute, Executor, Value, handles
from proofs.operators import over_axes
from proofs.terms import Tensor

_PARAMETERS = {
    "LeakyRelu": ("alpha",),
    "HardSigmoid": ("alpha", "beta"),
    "Elu": ("alpha",),
    "ThresholdedRelu": ("alpha",),
}


def _normalized(ex: Executor, x: Tensor, attributes: dict, centered: bool) -> Tensor:
    axes = range(attributes.get("axis", -1) % x.data.ndim, x.data.ndim)
    if centered:
        x = ex.call("Sub", x, over_axes(ex, "ReduceMean", x, axes, True, x.elem))
    variance = over_axes(ex, "ReduceMean", ex.call("Mul", x, x), axes, True, x.elem)
    epsilon = ex.constant(attributes.get("epsilon", 1e-5), TensorProto.FLOAT)
    return ex.call("Div", x, ex.call("Sqrt", ex.call("Add", variance, epsilon)))


@handles("LayerNormalization", "SimplifiedLayerNormalization", "RMSNormalization")
def _layer_normalization(ex: Executor, node, attributes: dict, inputs: list) -> Value:
    if len([o for o in node.output if o]) > 1:
        raise CannotExecute("the mean and deviation of a normalization")
    x, scale, bias = [*inputs, None][:3]
    y = ex.call("Mul", _normalized(ex, x, attributes, node.op_type == "LayerNormalization"), scale)
    return y if bias is None else ex.call("Add", y, bias)


@handles("SkipLayerNormalization", "SkipSimplifiedLayerNormalization")
def _skip_layer_normalization(ex: Executor, node, attributes: dict, inputs: list) -> Value:
    plain = node.op_type == "SkipLayerNormalization"
    x, skip, gamma, *rest = inputs
    beta, bias = ([*rest, None, None][:2]) if plain else (None, [*rest, None][0])
    if x.data.shape != skip.data.shape or x.data.ndim != 3:
        raise CannotExecute("a skip of another shape")
    total = ex.call("Add", x, skip)
    total = total if bias is None else ex.call("Add", total, bias)
    y = ex.call("Mul", _normalized(ex, total, {"epsilon": 1e-12, **attributes}, plain), gamma)
    y = y if beta is None else ex.call("Add", y, beta)
    return (y, None, None, total)


@handles("FastGelu")
def _fast_gelu(ex: Executor, node, attributes: dict, inputs: list) -> Value:
    x = inputs[0] if len(inputs) < 2 or inputs[1] is None else ex.call("Add", *inputs)
    return _gelu(ex, x, "tanh")


@handles("BiasGelu")
def _bias_gelu(ex: Executor, node, attributes: dict, inputs: list) -> Value:
    if inputs[1].data.shape != inputs[0].data.shape[-1:]:
        raise CannotExecute("a bias that is no vector")
    return _gelu(ex, ex.call("Add", *inputs), "none")


def _gelu(ex: Executor, x: Tensor, approximate: str) -> Tensor:
    from proofs.operators import elementwise

    return elementwise(ex, "Gelu", x.elem, [x], {"approximate": approximate})


@handles("QuickGelu")
def _quick_gelu(ex: Executor, node, attributes: dict, inputs: list) -> Value:
    (x,) = inputs
    return ex.call("Mul", x, ex.call("Sigmoid", scaled(ex, x, attributes.get("alpha", 1.702))))


@handles("FusedMatMul")
def _fused_matmul(ex: Executor, node, attributes: dict, inputs: list) -> Value:
    a, b = (
        _turned(ex, value, attributes.get(f"trans{side}", 0), attributes.get(f"transBatch{side}", 0))
        for value, side in zip(inputs, "AB", strict=True)
    )
    return scaled(ex, ex.call("MatMul", a, b), attributes.get("alpha", 1.0))


def _turned(ex: Executor, value: Tensor, last: int, batch: int) -> Tensor:
    """`transBatch` moves the first axis before the last; `trans` swaps the last two then."""
    axes = list(range(value.data.ndim))
    if batch:
        axes = [*axes[1:-1], axes[0], axes[-1]]
    if last and len(axes) > 1:
        axes[-2:] = reversed(axes[-2:])
    return ex.call("Transpose", value, perm=axes)


@handles("FusedGemm")
def _fused_gemm(ex: Executor, node, attributes: dict, inputs: list) -> Value:
    gemm = {k: v for k, v in attributes.items() if not k.startswith("activation")}
    name = attributes["activation"]
    given = {p: attributes[f"activation_{p}"] for p in _PARAMETERS.get(name, ()) if f"activation_{p}" in attributes}
    return ex.call(name, ex.call("Gemm", *inputs, **gemm), **given)


@handles("FusedConv")
def _fused_conv(ex: Executor, node, attributes: dict, inputs: list) -> Value:
    conv = {k: v for k, v in attributes.items() if not k.startswith("activation")}
    y = ex.call("Conv", *inputs[:3], **conv)
    if len(inputs) > 3:
        y = ex.call("Add", y, inputs[3])
    name = attributes.get("activation")
    if name is None:
        return y
    given = attributes.get("activation_params", [])
    if name == "Clip":
        return ex.call("Clip", y, *(ex.constant(v, y.elem) for v in given))
    return ex.call(name, y, **dict(zip(_PARAMETERS.get(name, ()), given, strict=False)))


@handles("MultiHeadAttention")
def _multi_head_attention(ex: Executor, node, attributes: dict, inputs: list) -> Value:
    query, key, value, *rest = inputs
    bias, padding, mask = [*rest, None, None, None][:3]
    if bias is not None or padding is not None or attributes.get("unidirectional"):
        raise CannotExecute("projection bias, padding mask and unidirectional attention")
    q, k, v = (_heads(ex, x, attributes["num_heads"]) for x in (query, key, value))
    scale = attributes.get("scale", 0.0) or 1 / np.sqrt(q.data.shape[3])
    scores = scaled(ex, ex.call("MatMul", q, ex.call("Transpose", k, perm=[0, 1, 3, 2])), scale)
    scores = scores if mask is None else ex.call("Add", scores, mask)
    y = ex.call("Transpose", ex.call("MatMul", ex.call("Softmax", scores, axis=3), v), perm=[0, 2, 1, 3])
    return Tensor(y.elem, y.data.reshape((*query.data.shape[:2], -1)))


def _heads(ex: Executor, x: Tensor, heads: int) -> Tensor:
    if x.data.ndim == 4:
        return x
    batch, length, width = x.data.shape
    split = Tensor(x.elem, x.data.reshape(batch, length, heads, width // heads))
    return ex.call("Transpose", split, perm=[0, 2, 1, 3])


@handles("RotaryEmbedding")
def _rotary_embedding(ex: Executor, node, attributes: dict, inputs: list) -> Value:
    """Of com.microsoft, by halves; one position is an offset for the whole batch."""
    x, positions, cos, sin = inputs
    if any(attributes.get(k) for k in ("interleaved", "num_heads", "rotary_embedding_dim")) or x.data.ndim != 4:
        raise CannotExecute("RotaryEmbedding but by halves of (batch, heads, positions, size)")
    at = ex.numbers(positions)
    rows = at + np.arange(x.data.shape[2]) if at.ndim == 1 else at[:, np.newaxis]
    if rows.size and (rows.max() >= len(cos.data) or rows.min() < 0):
        raise CannotExecute("a position outside the tables")
    c, s = (Tensor(table.elem, table.data[rows]) for table in (cos, sin))
    half = x.data.shape[-1] // 2
    a, b = Tensor(x.elem, x.data[..., :half]), Tensor(x.elem, x.data[..., half:])
    left = ex.call("Sub", ex.call("Mul", a, c), ex.call("Mul", b, s))
    right = ex.call("Add", ex.call("Mul", b, c), ex.call("Mul", a, s))
    return ex.call("Concat", left, right, axis=3)
