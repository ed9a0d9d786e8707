"""Two dense layers with relu, as Keras exports `Input(10) -> Dense(64, relu) -> Dense(64, relu)`."""

from pathlib import Path

import onnx
from assemble import Weights, assemble, save

TEXT = """
<ir_version: 10, opset_import: ["" : 21]>
dense (float[batch, 10] input) => (float[batch, 64] output) {
    hidden = Gemm(input, dense_kernel, dense_bias)
    hidden_relu = Relu(hidden)
    linear = Gemm(hidden_relu, dense_1_kernel, dense_1_bias)
    output = Relu(linear)
}
"""


def build() -> onnx.ModelProto:
    """Build the model: input [batch, 10], output [batch, 64]."""
    weights = Weights(seed=1)
    return assemble(
        TEXT,
        {
            "dense_kernel": weights.glorot(10, 64),
            "dense_bias": weights.uniform(-0.1, 0.1, 64),
            "dense_1_kernel": weights.glorot(64, 64),
            "dense_1_bias": weights.uniform(-0.1, 0.1, 64),
        },
        "Two dense layers with relu.",
    )


if __name__ == "__main__":
    save(build(), Path(__file__).with_suffix(".onnx"))
