"""An `If` whose condition is an input and a `Loop` whose trip count is one, with leftovers inside the subgraphs."""

from pathlib import Path

import onnx
from assemble import Weights, assemble, save

TEXT = """
<ir_version: 10, opset_import: ["" : 21]>
control_flow (float[batch, 8] x, bool gated, int64 steps) => (float[batch, 8] state) {
    start = If (gated) <
        then_branch = gated_branch () => (float[batch, 8] then_out) {
            gate_product = MatMul(x, gate_kernel)
            gate = Sigmoid(gate_product)
            gate_copy = Identity(gate)
            two = Constant <value_float = 2.0> ()
            also_two = Constant <value_float = 2.0> ()
            four = Mul(two, also_two)
            scaled = Mul(gate_copy, four)
            then_out = Mul(scaled, x)
        },
        else_branch = plain_branch () => (float[batch, 8] else_out) {
            zero = Constant <value_float = 0.0> ()
            minus_one = Constant <value_float = -1.0> ()
            negated = Mul(x, minus_one)
            else_sum = Add(negated, zero)
            else_copy = Identity(else_sum)
            else_out = Relu(else_copy)
        }
    >
    go = Constant <value = bool {1}> ()
    state = Loop (steps, go, start) <
        body = step (int64 iteration, bool going, float[batch, 8] before) => (bool going_on, float[batch, 8] after) {
            going_on = Identity(going)
            one = Constant <value_float = 1.0> ()
            three = Constant <value_float = 3.0> ()
            also_three = Constant <value_float = 3.0> ()
            six = Add(three, also_three)
            share = Div(one, six)
            kept = Mul(before, share)
            product = MatMul(before, step_kernel)
            same_product = MatMul(before, step_kernel)
            both = Add(product, same_product)
            mixed = Add(both, kept)
            shifted = Add(mixed, step_bias)
            after = Tanh(shifted)
        }
    >
}
"""


def build() -> onnx.ModelProto:
    """Build the model: x [batch, 8], a scalar flag and a scalar trip count; state [batch, 8].

    The loop contracts (its state stays in ±1), so that any trip count gives finite numbers.
    """
    weights = Weights(seed=5)
    return assemble(
        TEXT,
        {
            "gate_kernel": weights.glorot(8, 8),
            "step_kernel": weights.uniform(-0.2, 0.2, 8, 8),
            "step_bias": weights.uniform(-0.1, 0.1, 8),
        },
        "A gate chosen by an input, then a recurrence repeated as often as an input says.",
    )


if __name__ == "__main__":
    save(build(), Path(__file__).with_suffix(".onnx"))
