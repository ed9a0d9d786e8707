"""FLOPs of operators that do a fixed number of operations on each element of their result."""

from __future__ import annotations

from collections.abc import Callable

from ncgopt.cost.sized import Sized, volume

# Operations per element, counted from the formula in the operator's specification; a call of a
# transcendental function is one operation.
_STANDARD = {
    1: """Abs Acos Acosh Add And Asin Asinh Atan Atanh BitShift BitwiseAnd BitwiseNot BitwiseOr BitwiseXor
        Ceil Cos Cosh Div Equal Erf Exp Floor Greater GreaterOrEqual IsInf IsNaN Less LessOrEqual Log Mod
        Mul Neg Not Or Pow Reciprocal Relu Round Sign Sin Sinh Sqrt Sub Tan Tanh ThresholdedRelu Where Xor""",
    2: "BatchNormalization Clip DequantizeLinear LeakyRelu PRelu Shrink",
    3: "Elu RotaryEmbedding Softplus Softsign",
    4: "Celu HardSigmoid QuantizeLinear RMSNormalization Selu Sigmoid SimplifiedLayerNormalization",
    5: "DynamicQuantizeLinear Gelu HardSwish Hardmax LogSoftmax Mish Softmax Swish",
    7: "GroupNormalization InstanceNormalization LayerNormalization MeanVarianceNormalization",
}
_CONTRIB = {
    1: "BiasAdd",
    3: "RotaryEmbedding",
    4: "SimplifiedLayerNormalization",
    5: "Gelu SkipSimplifiedLayerNormalization BiasSoftmax",
    6: "BiasGelu QuickGelu QLinearAdd QLinearMul",
    8: "QLinearLeakyRelu QLinearSigmoid SkipLayerNormalization",
    9: "EmbedLayerNormalization FastGelu",
}
# Of any number of inputs; the mean divides once more.
_VARIADIC = {"Sum": 0, "Max": 0, "Min": 0, "Mean": 1}


def _fixed(per_element: int) -> Callable[[Sized], int]:
    return lambda sized: per_element * volume(sized.output())


def _variadic(extra: int) -> Callable[[Sized], int]:
    return lambda sized: (len(sized.node.inputs) - 1 + extra) * volume(sized.output())


def _local_response(sized: Sized) -> int:
    """LRN: squares and sums over `size` channels, then scale, add, power and divide."""
    return volume(sized.output()) * (2 * sized.integer("size") + 4)


def _resize(sized: Sized) -> int:
    """Interpolation takes one multiply-add per neighbour; the nearest one is only copied."""
    mode = sized.text("mode") or "nearest"
    before, after = sized.input(0), sized.output()
    axes = sum(a != b for a, b in zip(before, after, strict=True))
    neighbours = {"linear": 2, "bilinear": 2, "cubic": 4}.get(mode, 0) ** axes
    return 2 * neighbours * volume(after) if mode != "nearest" and axes else 0


COUNTERS: dict[tuple[str, str], Callable[[Sized], int]] = {
    **{("", op): _fixed(count) for count, ops in _STANDARD.items() for op in ops.split()},
    **{("com.microsoft", op): _fixed(count) for count, ops in _CONTRIB.items() for op in ops.split()},
    **{("", op): _variadic(extra) for op, extra in _VARIADIC.items()},
    ("", "LRN"): _local_response,
    ("", "Resize"): _resize,
    ("", "Upsample"): _resize,
}
