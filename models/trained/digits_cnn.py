"""A convolutional network with two residual blocks, trained on scikit-learn's digits."""

from __future__ import annotations

import numpy as np
import onnx
from assemble import Weights, assemble
from train import CLASSES, Parameters, cross_entropy, load_digits, train

WIDE, DEEP = 48, 64

TEXT = f"""
<ir_version: 10, opset_import: ["" : 21]>
digits_cnn (float[batch, 1, 8, 8] image) => (float[batch, {CLASSES}] logits) {{
    stem = Conv <kernel_shape = [3, 3], pads = [1, 1, 1, 1]> (image, stem_kernel, stem_bias)
    x_1 = Relu(stem)
    block_1a = Conv <kernel_shape = [3, 3], pads = [1, 1, 1, 1]> (x_1, block_1a_kernel, block_1a_bias)
    block_1_relu = Relu(block_1a)
    block_1b = Conv <kernel_shape = [3, 3], pads = [1, 1, 1, 1]> (block_1_relu, block_1b_kernel, block_1b_bias)
    block_1_sum = Add(block_1b, x_1)
    x_2 = Relu(block_1_sum)
    down = Conv <kernel_shape = [3, 3], pads = [1, 1, 1, 1], strides = [2, 2]> (x_2, down_kernel, down_bias)
    x_3 = Relu(down)
    block_2a = Conv <kernel_shape = [3, 3], pads = [1, 1, 1, 1]> (x_3, block_2a_kernel, block_2a_bias)
    block_2_relu = Relu(block_2a)
    block_2b = Conv <kernel_shape = [3, 3], pads = [1, 1, 1, 1]> (block_2_relu, block_2b_kernel, block_2b_bias)
    block_2_sum = Add(block_2b, x_3)
    x_4 = Relu(block_2_sum)
    pooled = GlobalAveragePool(x_4)
    features = Flatten <axis = 1> (pooled)
    logits = Gemm <transB = 1> (features, head_kernel, head_bias)
}}
"""


def initial(seed: int) -> Parameters:
    """Glorot's weights; the last convolution of a block starts near zero, so that no normalization is needed."""
    weights = Weights(seed=200 + seed)
    shapes = {
        "stem": (WIDE, 1),
        "block_1a": (WIDE, WIDE),
        "block_1b": (WIDE, WIDE),
        "down": (DEEP, WIDE),
        "block_2a": (DEEP, DEEP),
        "block_2b": (DEEP, DEEP),
    }
    found: Parameters = {}
    for name, (rows, columns) in shapes.items():
        scale = np.float32(0.2 if name.endswith("b") else 1.4)
        found[f"{name}_kernel"] = scale * weights.glorot(rows, columns, 3, 3)
        found[f"{name}_bias"] = np.zeros(rows, np.float32)
    return {**found, "head_kernel": weights.glorot(CLASSES, DEEP), "head_bias": np.zeros(CLASSES, np.float32)}


class _Conv:
    """A 3 x 3 convolution with padding 1 on [count, channels, height, width], as one product of patches."""

    def __init__(self, parameters: Parameters, name: str, stride: int = 1) -> None:
        self._kernel, self._bias = parameters[f"{name}_kernel"], parameters[f"{name}_bias"]
        self._name, self._stride = name, stride

    def forward(self, x: np.ndarray) -> np.ndarray:
        self._shape = x.shape
        padded = np.pad(x, ((0, 0), (0, 0), (1, 1), (1, 1)))
        windows = np.lib.stride_tricks.sliding_window_view(padded, (3, 3), axis=(2, 3))
        windows = windows[:, :, :: self._stride, :: self._stride].transpose(0, 2, 3, 1, 4, 5)
        self._grid = windows.shape[:3]
        self._patches = windows.reshape(-1, x.shape[1] * 9)
        out = self._patches @ self._kernel.reshape(len(self._kernel), -1).T + self._bias
        return out.reshape(*self._grid, -1).transpose(0, 3, 1, 2)

    def backward(self, back: np.ndarray, found: Parameters) -> np.ndarray:
        rows = back.transpose(0, 2, 3, 1).reshape(-1, back.shape[1])
        found[f"{self._name}_kernel"] = (rows.T @ self._patches).reshape(self._kernel.shape)
        found[f"{self._name}_bias"] = rows.sum(axis=0)
        spread = (rows @ self._kernel.reshape(len(self._kernel), -1)).reshape(*self._grid, -1, 3, 3)
        count, channels, height, width = self._shape
        padded = np.zeros((count, channels, height + 2, width + 2), np.float32)
        step = self._stride
        for i in range(3):
            for j in range(3):
                window = padded[:, :, i : i + step * self._grid[1] : step, j : j + step * self._grid[2] : step]
                window += spread[..., i, j].transpose(0, 3, 1, 2)
        return padded[:, :, 1:-1, 1:-1]


def gradients(parameters: Parameters, images: np.ndarray, labels: np.ndarray) -> tuple[Parameters, float]:
    """Forwards, then backwards."""
    stem, down = _Conv(parameters, "stem"), _Conv(parameters, "down", stride=2)
    first = _Conv(parameters, "block_1a"), _Conv(parameters, "block_1b")
    second = _Conv(parameters, "block_2a"), _Conv(parameters, "block_2b")
    x_1 = np.maximum(stem.forward(images), 0)
    hidden_1 = np.maximum(first[0].forward(x_1), 0)
    x_2 = np.maximum(first[1].forward(hidden_1) + x_1, 0)
    x_3 = np.maximum(down.forward(x_2), 0)
    hidden_2 = np.maximum(second[0].forward(x_3), 0)
    x_4 = np.maximum(second[1].forward(hidden_2) + x_3, 0)
    features = x_4.mean(axis=(2, 3))
    back, loss = cross_entropy(features @ parameters["head_kernel"].T + parameters["head_bias"], labels)
    found: Parameters = {"head_kernel": back.T @ features, "head_bias": back.sum(axis=0)}
    area = x_4.shape[2] * x_4.shape[3]
    d_4 = (back @ parameters["head_kernel"])[:, :, None, None] / area * (x_4 > 0)
    d_3 = d_4 + second[0].backward(second[1].backward(d_4, found) * (hidden_2 > 0), found)
    d_2 = down.backward(d_3 * (x_3 > 0), found) * (x_2 > 0)
    d_1 = d_2 + first[0].backward(first[1].backward(d_2, found) * (hidden_1 > 0), found)
    stem.backward(d_1 * (x_1 > 0), found)
    return found, loss


def build(seed: int = 0) -> onnx.ModelProto:
    """Train and build the model: image [batch, 1, 8, 8] in 0..1, logits [batch, 10]."""
    trained = train(initial(seed), gradients, load_digits(seed), epochs=25, seed=seed)
    return assemble(TEXT, trained, "Two residual blocks, trained on scikit-learn's digits.")
