"""A perceptron with three hidden layers, trained on scikit-learn's digits."""

from __future__ import annotations

import numpy as np
import onnx
from assemble import Weights, assemble
from train import CLASSES, Parameters, cross_entropy, load_digits, train

WIDTH = 320
LAYERS = 4

TEXT = f"""
<ir_version: 10, opset_import: ["" : 21]>
digits_mlp (float[batch, 1, 8, 8] image) => (float[batch, {CLASSES}] logits) {{
    pixels = Flatten <axis = 1> (image)
    dense_1 = Gemm <transB = 1> (pixels, kernel_1, bias_1)
    hidden_1 = Relu(dense_1)
    dense_2 = Gemm <transB = 1> (hidden_1, kernel_2, bias_2)
    hidden_2 = Relu(dense_2)
    dense_3 = Gemm <transB = 1> (hidden_2, kernel_3, bias_3)
    hidden_3 = Relu(dense_3)
    logits = Gemm <transB = 1> (hidden_3, kernel_4, bias_4)
}}
"""


def initial(seed: int) -> Parameters:
    """Glorot's weights, zero biases."""
    weights = Weights(seed=100 + seed)
    sizes = [64, WIDTH, WIDTH, WIDTH, CLASSES]
    found: Parameters = {}
    for index in range(1, LAYERS + 1):
        found[f"kernel_{index}"] = weights.glorot(sizes[index], sizes[index - 1])
        found[f"bias_{index}"] = np.zeros(sizes[index], np.float32)
    return found


def gradients(parameters: Parameters, images: np.ndarray, labels: np.ndarray) -> tuple[Parameters, float]:
    """Forwards, then backwards."""
    inputs = [images.reshape(len(images), -1)]
    for index in range(1, LAYERS + 1):
        dense = inputs[-1] @ parameters[f"kernel_{index}"].T + parameters[f"bias_{index}"]
        inputs.append(np.maximum(dense, 0) if index < LAYERS else dense)
    back, loss = cross_entropy(inputs[-1], labels)
    found: Parameters = {}
    for index in range(LAYERS, 0, -1):
        if index < LAYERS:
            back = back * (inputs[index] > 0)
        found[f"kernel_{index}"] = back.T @ inputs[index - 1]
        found[f"bias_{index}"] = back.sum(axis=0)
        back = back @ parameters[f"kernel_{index}"]
    return found, loss


def build(seed: int = 0) -> onnx.ModelProto:
    """Train and build the model: image [batch, 1, 8, 8] in 0..1, logits [batch, 10]."""
    trained = train(initial(seed), gradients, load_digits(seed), epochs=40, seed=seed)
    return assemble(TEXT, trained, "Three hidden layers of 320, trained on scikit-learn's digits.")
