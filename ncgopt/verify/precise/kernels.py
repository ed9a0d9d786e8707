"""Operators for which ONNX Runtime has no float64 kernel on the CPU, in numpy, after the ONNX specification.

Each takes the inputs of its node and an attribute reader `get(name, default)`, and returns the first
output. `Unsupported` is raised for forms that are not written here.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from typing import Any, TypeAlias

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view

from ncgopt.runtime.session import Array

Get: TypeAlias = Callable[[str, Any], Any]
Kernel: TypeAlias = Callable[[Sequence["Array | None"], Get], Array]

_ERF_END, _ERF_POINTS, _ERF_TERMS = 6, 64, 9
_LARGEST = 1 << 27  # elements of unfolded windows, beyond which it takes too long
_UNFOLDED = 1 << 21  # of these held at a time
_BLOCK = 1 << 18  # elements for which there are a dozen intermediate results


class Unsupported(ValueError):
    """A form of an operator that has no kernel here."""


def conv(inputs: Sequence[Array | None], get: Get) -> Array:
    """Conv: `[N, C, *S]` with `[M, C/group, *K]`, bias `[M]` or None."""
    x, w, bias = _three(inputs)
    kernel, rank = w.shape[2:], x.ndim - 2
    strides, dilations = _sizes(get, "strides", rank), _sizes(get, "dilations", rank)
    padded = np.pad(x, [(0, 0), (0, 0), *_pads(get, x.shape[2:], kernel, strides, dilations)])
    y = _convolved(padded, w, strides, dilations, int(get("group", 1)))
    return y if bias is None else y + bias.reshape(-1, *[1] * rank)


def conv_transpose(inputs: Sequence[Array | None], get: Get) -> Array:
    """ConvTranspose: `[N, C, *S]` with `[C, M/group, *K]`, as a Conv of the input spread out with zeros."""
    x, w, bias = _three(inputs)
    rank, group = x.ndim - 2, int(get("group", 1))
    if get("auto_pad", b"NOTSET") not in (b"NOTSET", "NOTSET") or get("output_shape", None) is not None:
        raise Unsupported("ConvTranspose with computed pads")
    strides, dilations = _sizes(get, "strides", rank), _sizes(get, "dilations", rank)
    extra = list(get("output_padding", None) or [0] * rank)
    pads = list(get("pads", None) or [0] * (2 * rank))
    spread = np.zeros((*x.shape[:2], *((n - 1) * s + 1 for n, s in zip(x.shape[2:], strides, strict=True))))
    spread[(..., *(slice(None, None, s) for s in strides))] = x
    reach = [(k - 1) * d for k, d in zip(w.shape[2:], dilations, strict=True)]
    margins = [(reach[i] - pads[i], reach[i] - pads[rank + i] + extra[i]) for i in range(rank)]
    if any(side < 0 for pair in margins for side in pair):
        raise Unsupported("ConvTranspose with pads beyond its kernel")
    # [C, M/g, *K] -> [M, C/g, *K], the kernel turned around.
    parts = np.split(np.flip(w, tuple(range(2, 2 + rank))), group)
    turned = np.concatenate([part.swapaxes(0, 1) for part in parts])
    y = _convolved(np.pad(spread, [(0, 0), (0, 0), *margins]), turned, [1] * rank, dilations, group)
    return y if bias is None else y + bias.reshape(-1, *[1] * rank)


def average_pool(inputs: Sequence[Array | None], get: Get) -> Array:
    """AveragePool without `ceil_mode`."""
    x = _first(inputs)
    kernel = list(get("kernel_shape", None))
    rank = x.ndim - 2
    if get("ceil_mode", 0):
        raise Unsupported("AveragePool with ceil_mode")
    strides, dilations = _sizes(get, "strides", rank), _sizes(get, "dilations", rank)
    margins = [(0, 0), (0, 0), *_pads(get, x.shape[2:], kernel, strides, dilations)]
    axes = tuple(range(-rank, 0))
    total = _windows(np.pad(x, margins), kernel, strides, dilations).sum(axis=axes)
    ones = np.ones((1, 1, *x.shape[2:]))
    inside = np.pad(ones, margins, constant_values=1.0 if get("count_include_pad", 0) else 0.0)
    return total / _windows(inside, kernel, strides, dilations).sum(axis=axes)


def global_average_pool(inputs: Sequence[Array | None], get: Get) -> Array:
    """Mean over all but the first two axes."""
    x = _first(inputs)
    return x.mean(axis=tuple(range(2, x.ndim)), keepdims=True)


def instance_normalization(inputs: Sequence[Array | None], get: Get) -> Array:
    """Each channel of each example by itself; scale and bias `[C]`."""
    x, scale, bias = _three(inputs)
    assert bias is not None
    axes = tuple(range(2, x.ndim))
    mean = x.mean(axis=axes, keepdims=True)
    variance = np.square(x - mean).mean(axis=axes, keepdims=True)
    shape = (-1, *[1] * (x.ndim - 2))
    return (x - mean) / np.sqrt(variance + get("epsilon", 1e-5)) * scale.reshape(shape) + bias.reshape(shape)


def erf(inputs: Sequence[Array | None], get: Get) -> Array:
    """The error function, to some units in the last place.

    Taylor's series around the nearest of a table of points: the derivatives of erf are Hermite polynomials
    times `2 / sqrt(pi) * exp(-x * x)`. Beyond 6, erf is 1 in float64.
    """
    return _by_blocks(_first(inputs), _erf)


def _erf(x: Array) -> Array:
    magnitude = np.minimum(np.abs(x), _ERF_END)
    at = np.rint(magnitude * _ERF_POINTS)
    start = at / _ERF_POINTS
    step = magnitude - start
    before, hermite, power, total = np.zeros_like(step), np.ones_like(step), step, step
    for n in range(_ERF_TERMS):
        before, hermite = hermite, 2 * start * hermite - 2 * n * before
        power = -power * step / (n + 2)
        total = total + hermite * power
    table = np.array([math.erf(k / _ERF_POINTS) for k in range(_ERF_END * _ERF_POINTS + 1)])
    near = table[np.where(np.isnan(at), 0, at).astype(np.int64)]
    return np.copysign(near + 2 / math.sqrt(math.pi) * np.exp(-np.square(start)) * total, x)


def gelu(inputs: Sequence[Array | None], get: Get) -> Array:
    """X times the normal distribution function, or its approximation by tanh."""
    x = _first(inputs)
    if get("approximate", b"none") in (b"tanh", "tanh"):
        return 0.5 * x * (1 + np.tanh(math.sqrt(2 / math.pi) * (x + 0.044715 * x**3)))
    return 0.5 * x * (1 + erf([x / math.sqrt(2)], get))


def leaky_relu(inputs: Sequence[Array | None], get: Get) -> Array:
    """x, or alpha times it below 0."""
    x = _first(inputs)
    return np.where(x >= 0, x, get("alpha", 0.01) * x)


def prelu(inputs: Sequence[Array | None], get: Get) -> Array:
    """x, or slope times it below 0; the slope is broadcast to x."""
    x, slope = inputs[0], inputs[1]
    assert x is not None
    return np.where(x >= 0, x, slope * x)


def hard_sigmoid(inputs: Sequence[Array | None], get: Get) -> Array:
    """Alpha x + beta between 0 and 1."""
    return np.clip(get("alpha", 0.2) * _first(inputs) + get("beta", 0.5), 0.0, 1.0)


def hard_swish(inputs: Sequence[Array | None], get: Get) -> Array:
    """X times max(0, min(1, x / 6 + 1 / 2))."""
    x = _first(inputs)
    return x * np.clip(x / 6 + 0.5, 0.0, 1.0)


KERNELS: Mapping[str, Kernel] = {
    "Conv": conv,
    "ConvTranspose": conv_transpose,
    "AveragePool": average_pool,
    "GlobalAveragePool": global_average_pool,
    "InstanceNormalization": instance_normalization,
    "Erf": erf,
    "Gelu": gelu,
    "LeakyRelu": leaky_relu,
    "PRelu": prelu,
    "HardSigmoid": hard_sigmoid,
    "HardSwish": hard_swish,
}


def _first(inputs: Sequence[Array | None]) -> Array:
    assert inputs[0] is not None
    return inputs[0]


def _three(inputs: Sequence[Array | None]) -> tuple[Array, Array, Array | None]:
    x, w = inputs[0], inputs[1]
    assert x is not None
    assert w is not None
    return x, w, inputs[2] if len(inputs) > 2 else None


def _sizes(get: Get, name: str, rank: int) -> list[int]:
    return list(get(name, None) or [1] * rank)


def _pads(
    get: Get, sizes: Sequence[int], kernel: Sequence[int], strides: Sequence[int], dilations: Sequence[int]
) -> list[tuple[int, int]]:
    rank, mode = len(sizes), get("auto_pad", b"NOTSET")
    mode = mode.decode() if isinstance(mode, bytes) else mode
    if mode == "NOTSET":
        pads = list(get("pads", None) or [0] * (2 * rank))
        if min(pads, default=0) < 0:
            raise Unsupported("negative pads")
        return [(pads[i], pads[rank + i]) for i in range(rank)]
    if mode == "VALID":
        return [(0, 0)] * rank
    found: list[tuple[int, int]] = []
    for n, k, s, d in zip(sizes, kernel, strides, dilations, strict=True):
        total = max(0, (-(-n // s) - 1) * s + (k - 1) * d + 1 - n)
        small, large = total // 2, total - total // 2
        found.append((small, large) if mode == "SAME_UPPER" else (large, small))
    return found


def _windows(padded: Array, kernel: Sequence[int], strides: Sequence[int], dilations: Sequence[int]) -> Array:
    """A view `[N, C, *O, *K]` of what each output looks at."""
    rank = len(kernel)
    reach = [(k - 1) * d + 1 for k, d in zip(kernel, dilations, strict=True)]
    axes = tuple(range(padded.ndim - rank, padded.ndim))
    if any(n < r for n, r in zip(padded.shape[-rank:], reach, strict=True)):
        raise Unsupported("a window larger than what it looks at")
    view = sliding_window_view(padded, reach, axis=axes)
    return view[(..., *(slice(None, None, s) for s in strides), *(slice(None, None, d) for d in dilations))]


def _convolved(padded: Array, w: Array, strides: Sequence[int], dilations: Sequence[int], group: int) -> Array:
    count = padded.shape[1] // group
    parts: list[Array] = []
    for at, weights in enumerate(np.split(w, group)):
        view = _windows(padded[:, at * count : (at + 1) * count], w.shape[2:], strides, dilations)
        if view.size > _LARGEST:
            raise Unsupported("a convolution too large to unfold")
        parts.append(_contracted(view, weights))
    return np.concatenate(parts, axis=1)


def _contracted(view: Array, weights: Array) -> Array:
    """Windows `[N, C, *O, *K]` times weights `[M, C, *K]`: `[N, M, *O]`. That copies them, so by blocks of rows."""
    rank = weights.ndim - 2
    axes = [1, *range(2 + rank, 2 + 2 * rank)], [1, *range(2, 2 + rank)]
    if view.size <= _UNFOLDED:
        return np.moveaxis(np.tensordot(view, weights, axes), -1, 1)
    found = np.empty((view.shape[0], weights.shape[0], *view.shape[2 : 2 + rank]))
    rows = max(1, _UNFOLDED * view.shape[0] * view.shape[2] // view.size)
    for example in range(view.shape[0]):
        for start in range(0, view.shape[2], rows):
            part = view[example : example + 1, :, start : start + rows]
            found[example : example + 1, :, start : start + rows] = np.moveaxis(
                np.tensordot(part, weights, axes), -1, 1
            )
    return found


def _by_blocks(x: Array, compute: Callable[[Array], Array]) -> Array:
    """Elementwise, a block at a time: many intermediate results of all elements would be many times the memory."""
    flat = np.ascontiguousarray(x).reshape(-1)
    found = np.empty_like(flat)
    for start in range(0, flat.size, _BLOCK):
        found[start : start + _BLOCK] = compute(flat[start : start + _BLOCK])
    return found.reshape(x.shape)
