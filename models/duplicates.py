"""The same weights stored twice, once more transposed, and the same expression computed twice."""

from pathlib import Path

import numpy as np
import onnx
from assemble import Weights, assemble, save

TEXT = """
<ir_version: 10, opset_import: ["" : 21]>
duplicates (int64[batch, sequence] ids) => (float[batch, sequence, 200] logits) {
    embedded = Gather <axis = 0> (embedding, ids)

    left_product = MatMul(embedded, left_kernel)
    left_sum = Add(left_product, left_bias)
    left = Tanh(left_sum)
    left_half = Mul(left, left_scale)

    right_product = MatMul(embedded, right_kernel)
    right_sum = Add(right_product, right_bias)
    right = Tanh(right_sum)
    right_half = Mul(right, right_scale)

    both = Add(left_half, right_half)
    squared = Mul(both, both)
    squared_again = Mul(both, both)
    quartic = Mul(squared, squared_again)
    features = Add(both, quartic)
    logits = MatMul(features, decoder)
}
"""


def build() -> onnx.ModelProto:
    """Build the model: ids [batch, sequence] below 200, logits [batch, sequence, 200].

    `left_*` and `right_*` are equal, and `decoder` is the transposed `embedding` (tied weights).
    """
    weights = Weights(seed=6)
    embedding = weights.uniform(-1.0, 1.0, 200, 32)
    kernel = weights.glorot(32, 32)
    bias = weights.uniform(-0.1, 0.1, 32)
    half = np.array(0.5, np.float32)
    return assemble(
        TEXT,
        {
            "embedding": embedding,
            "left_kernel": kernel,
            "left_bias": bias,
            "left_scale": half,
            "right_kernel": kernel,
            "right_bias": bias,
            "right_scale": half,
            "decoder": np.ascontiguousarray(embedding.T),
        },
        "Tied weights that an exporter stored apart, and a branch computed twice.",
    )


if __name__ == "__main__":
    save(build(), Path(__file__).with_suffix(".onnx"))
