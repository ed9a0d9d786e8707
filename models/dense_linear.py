"""Two dense layers with nothing between them: together they are one matrix, and a smaller one."""

from pathlib import Path

import onnx
from assemble import Weights, assemble, save

TEXT = """
<ir_version: 10, opset_import: ["" : 21]>
dense_linear (float[batch, 10] input) => (float[batch, 64] output) {
    hidden = Gemm(input, dense_kernel, dense_bias)
    output = Gemm(hidden, dense_1_kernel, dense_1_bias)
}
"""


def build() -> onnx.ModelProto:
    """Build the model: input [batch, 10], output [batch, 64].

    Merged, the 704 + 4160 parameters become 704, and the multiplications per row fall from 4736 to 640.
    """
    weights = Weights(seed=2)
    return assemble(
        TEXT,
        {
            "dense_kernel": weights.glorot(10, 64),
            "dense_bias": weights.uniform(-0.1, 0.1, 64),
            "dense_1_kernel": weights.glorot(64, 64),
            "dense_1_bias": weights.uniform(-0.1, 0.1, 64),
        },
        "Two dense layers without an activation.",
    )


if __name__ == "__main__":
    save(build(), Path(__file__).with_suffix(".onnx"))
