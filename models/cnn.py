"""A small convolutional classifier as exported in inference mode, training leftovers included."""

from pathlib import Path

import numpy as np
import onnx
from assemble import Weights, assemble, save

TEXT = """
<ir_version: 7, opset_import: ["" : 13]>
cnn (float[batch, 3, 32, 32] image) => (float[batch, 10] logits) {
    conv_1 = Conv <kernel_shape = [3, 3], pads = [1, 1, 1, 1]> (image, kernel_1)
    norm_1 = BatchNormalization <epsilon = 0.001> (conv_1, scale_1, shift_1, mean_1, variance_1)
    relu_1 = Relu(norm_1)
    conv_2 = Conv <kernel_shape = [3, 3], pads = [1, 1, 1, 1], strides = [2, 2]> (relu_1, kernel_2, bias_2)
    norm_2 = BatchNormalization <epsilon = 0.001> (conv_2, scale_2, shift_2, mean_2, variance_2)
    relu_2 = Relu(norm_2)
    kept_2 = Identity(relu_2)
    conv_3 = Conv <kernel_shape = [3, 3], pads = [1, 1, 1, 1]> (kept_2, kernel_3)
    norm_3 = BatchNormalization <epsilon = 0.001> (conv_3, scale_3, shift_3, mean_3, variance_3)
    residual = Add(norm_3, kept_2)
    relu_3 = Relu(residual)
    pooled = GlobalAveragePool(relu_3)
    features = Flatten <axis = 1> (pooled)
    kept_features = Dropout(features, rate)
    logits = Gemm <transB = 1> (kept_features, head_kernel, head_bias)
}
"""


def _batch_norm(weights: Weights, index: int, channels: int) -> dict[str, np.ndarray]:
    return {
        f"scale_{index}": weights.uniform(0.5, 1.5, channels),
        f"shift_{index}": weights.uniform(-0.2, 0.2, channels),
        f"mean_{index}": weights.uniform(-0.2, 0.2, channels),
        f"variance_{index}": weights.uniform(0.5, 1.5, channels),
    }


def build() -> onnx.ModelProto:
    """Build the model: image [batch, 3, 32, 32], logits [batch, 10]; opset 13, IR version 7."""
    weights = Weights(seed=3)
    return assemble(
        TEXT,
        {
            "kernel_1": weights.glorot(16, 3, 3, 3),
            **_batch_norm(weights, 1, 16),
            "kernel_2": weights.glorot(32, 16, 3, 3),
            "bias_2": weights.uniform(-0.1, 0.1, 32),
            **_batch_norm(weights, 2, 32),
            "kernel_3": weights.glorot(32, 32, 3, 3),
            **_batch_norm(weights, 3, 32),
            "rate": np.array(0.5, np.float32),
            "head_kernel": weights.glorot(10, 32),
            "head_bias": weights.uniform(-0.1, 0.1, 10),
        },
        "Three convolutions with batch normalization, a residual connection and a linear head.",
    )


if __name__ == "__main__":
    save(build(), Path(__file__).with_suffix(".onnx"))
