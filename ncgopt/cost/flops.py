"""FLOPs as pure functions of sizes, for rules that ask whether a rewrite pays."""

from __future__ import annotations

import math
from collections.abc import Sequence


def elementwise_flops(shape: Sequence[int], per_element: int = 1) -> int:
    """FLOPs of `per_element` operations on each element of a tensor of this shape."""
    return math.prod(shape) * per_element


def matmul_flops(m_dims: Sequence[int], k: int, n: int) -> int:
    """FLOPs of a matrix product `[*m_dims, k] x [k, n]`, or of a batch of them.

    Args:
        m_dims: all dimensions of the result but the last; batch dimensions included.
        k: the dimension that is summed over.
        n: the last dimension of the result.
    """
    return 2 * math.prod(m_dims) * k * n


def conv_flops(
    output: Sequence[int],
    kernel: Sequence[int],
    channels_per_group: int,
    *,
    bias: bool = False,
) -> int:
    """FLOPs of a convolution computed directly (no Winograd, no FFT).

    Args:
        output: shape of the result, `[N, C_out, *spatial]`.
        kernel: spatial shape of the kernel.
        channels_per_group: input channels that one output channel sees (`C_in / group`).
        bias: whether a bias is added.

    Padding counts like data: what a kernel computes on the border is part of its work.
    """
    per_element = 2 * channels_per_group * math.prod(kernel) + int(bias)
    return math.prod(output) * per_element


def recurrent_flops(steps: int, batch: int, inputs: int, hidden: int, gates: int, pointwise: int) -> int:
    """FLOPs of one direction of a recurrent layer.

    Args:
        steps: length of the sequence.
        batch: number of sequences.
        inputs: features per step.
        hidden: features of the state.
        gates: matrices per layer (RNN 1, GRU 3, LSTM 4).
        pointwise: operations per element of the state and step, besides the products.
    """
    products = 2 * gates * hidden * (inputs + hidden)
    biases = 2 * gates * hidden
    return steps * batch * (products + biases + pointwise * hidden)
