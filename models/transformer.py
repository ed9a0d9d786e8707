"""One transformer encoder block with dynamic batch and sequence, in the shape that PyTorch's exporter writes."""

from pathlib import Path

import numpy as np
import onnx
from assemble import Weights, assemble, save

VOCABULARY = 100
POSITIONS = 128
HEADS = 4
WIDTH = 32
HIDDEN = 64

# The shape arithmetic is repeated per use, and scalars are stored per use, as exporters do.
TEXT = """
<ir_version: 10, opset_import: ["" : 21]>
transformer (int64[batch, sequence] input_ids, int64[batch, sequence] attention_mask)
    => (float[batch, sequence, 32] last_hidden_state) {
    ids_shape = Shape(input_ids)
    length = Gather <axis = 0> (ids_shape, index_1)
    position_ids = Range(start, length, step)
    words = Gather <axis = 0> (word_embedding, input_ids)
    positions = Gather <axis = 0> (position_embedding, position_ids)
    embedded = Add(words, positions)
    x = LayerNormalization <axis = -1, epsilon = 0.00001> (embedded, embedding_scale, embedding_shift)

    mask_rows = Unsqueeze(attention_mask, axes_1)
    mask_4d = Unsqueeze(mask_rows, axes_2)
    mask_bool = Cast <to = 9> (mask_4d)
    bias = Where(mask_bool, visible, hidden)

    query_product = MatMul(x, query_kernel)
    query = Add(query_bias, query_product)
    query_shape = Shape(query)
    query_batch = Gather <axis = 0> (query_shape, query_index_0)
    query_shape_again = Shape(query)
    query_length = Gather <axis = 0> (query_shape_again, query_index_1)
    query_batch_1d = Unsqueeze(query_batch, query_axes)
    query_length_1d = Unsqueeze(query_length, query_axes)
    query_target = Concat <axis = 0> (query_batch_1d, query_length_1d, query_heads, query_head_width)
    query_split = Reshape(query, query_target)
    query_heads_first = Transpose <perm = [0, 2, 1, 3]> (query_split)

    key_product = MatMul(x, key_kernel)
    key = Add(key_bias, key_product)
    key_shape = Shape(key)
    key_batch = Gather <axis = 0> (key_shape, key_index_0)
    key_shape_again = Shape(key)
    key_length = Gather <axis = 0> (key_shape_again, key_index_1)
    key_batch_1d = Unsqueeze(key_batch, key_axes)
    key_length_1d = Unsqueeze(key_length, key_axes)
    key_target = Concat <axis = 0> (key_batch_1d, key_length_1d, key_heads, key_head_width)
    key_split = Reshape(key, key_target)
    key_heads_first = Transpose <perm = [0, 2, 1, 3]> (key_split)
    key_columns = Transpose <perm = [0, 1, 3, 2]> (key_heads_first)

    value_product = MatMul(x, value_kernel)
    value = Add(value_bias, value_product)
    value_shape = Shape(value)
    value_batch = Gather <axis = 0> (value_shape, value_index_0)
    value_shape_again = Shape(value)
    value_length = Gather <axis = 0> (value_shape_again, value_index_1)
    value_batch_1d = Unsqueeze(value_batch, value_axes)
    value_length_1d = Unsqueeze(value_length, value_axes)
    value_target = Concat <axis = 0> (value_batch_1d, value_length_1d, value_heads, value_head_width)
    value_split = Reshape(value, value_target)
    value_heads_first = Transpose <perm = [0, 2, 1, 3]> (value_split)

    scores = MatMul(query_heads_first, key_columns)
    width = Constant <value_float = 8.0> ()
    root = Sqrt(width)
    scaled = Div(scores, root)
    masked = Add(scaled, bias)
    attention = Softmax <axis = -1> (masked)
    context = MatMul(attention, value_heads_first)
    context_rows = Transpose <perm = [0, 2, 1, 3]> (context)
    context_shape = Shape(context_rows)
    context_batch = Gather <axis = 0> (context_shape, context_index_0)
    context_shape_again = Shape(context_rows)
    context_length = Gather <axis = 0> (context_shape_again, context_index_1)
    context_batch_1d = Unsqueeze(context_batch, context_axes)
    context_length_1d = Unsqueeze(context_length, context_axes)
    context_target = Concat <axis = 0> (context_batch_1d, context_length_1d, context_width)
    joined = Reshape(context_rows, context_target)
    projected_product = MatMul(joined, output_kernel)
    projected = Add(output_bias, projected_product)
    attended = Add(projected, x)
    y = LayerNormalization <axis = -1, epsilon = 0.00001> (attended, attention_scale, attention_shift)

    up_product = MatMul(y, up_kernel)
    up = Add(up_bias, up_product)
    up_scaled = Div(up, root_two)
    up_erf = Erf(up_scaled)
    up_shifted = Add(up_erf, one)
    up_gated = Mul(up, up_shifted)
    activated = Mul(up_gated, half)
    down_product = MatMul(activated, down_kernel)
    down = Add(down_bias, down_product)
    summed = Add(down, y)
    last_hidden_state = LayerNormalization <axis = -1, epsilon = 0.00001> (summed, output_scale, output_shift)
}
"""


def _linear(weights: Weights, name: str, fan_in: int, fan_out: int) -> dict[str, np.ndarray]:
    return {
        f"{name}_kernel": weights.glorot(fan_in, fan_out),
        f"{name}_bias": weights.uniform(-0.1, 0.1, fan_out),
    }


def _norm(weights: Weights, name: str) -> dict[str, np.ndarray]:
    return {
        f"{name}_scale": weights.uniform(0.8, 1.2, WIDTH),
        f"{name}_shift": weights.uniform(-0.1, 0.1, WIDTH),
    }


def _split(name: str) -> dict[str, np.ndarray]:
    return {
        f"{name}_index_0": np.array(0, np.int64),
        f"{name}_index_1": np.array(1, np.int64),
        f"{name}_axes": np.array([0], np.int64),
        f"{name}_heads": np.array([HEADS], np.int64),
        f"{name}_head_width": np.array([WIDTH // HEADS], np.int64),
    }


def _context() -> dict[str, np.ndarray]:
    return {
        "context_index_0": np.array(0, np.int64),
        "context_index_1": np.array(1, np.int64),
        "context_axes": np.array([0], np.int64),
        "context_width": np.array([WIDTH], np.int64),
    }


def _scalars() -> dict[str, np.ndarray]:
    return {
        "index_1": np.array(1, np.int64),
        "start": np.array(0, np.int64),
        "step": np.array(1, np.int64),
        "axes_1": np.array([1], np.int64),
        "axes_2": np.array([2], np.int64),
        "visible": np.array(0.0, np.float32),
        "hidden": np.array(np.finfo(np.float32).min, np.float32),
        "root_two": np.array(1.4142135, np.float32),
        "one": np.array(1.0, np.float32),
        "half": np.array(0.5, np.float32),
    }


def build() -> onnx.ModelProto:
    """Build the model: ids and mask [batch, sequence], hidden state [batch, sequence, 32].

    Ids are below 100, the sequence is at most 128 long, a mask of 0 hides a position and anything else shows it.
    """
    weights = Weights(seed=4)
    return assemble(
        TEXT,
        {
            "word_embedding": weights.uniform(-1.0, 1.0, VOCABULARY, WIDTH),
            "position_embedding": weights.uniform(-0.5, 0.5, POSITIONS, WIDTH),
            **_norm(weights, "embedding"),
            **_linear(weights, "query", WIDTH, WIDTH),
            **_linear(weights, "key", WIDTH, WIDTH),
            **_linear(weights, "value", WIDTH, WIDTH),
            **_linear(weights, "output", WIDTH, WIDTH),
            **_norm(weights, "attention"),
            **_linear(weights, "up", WIDTH, HIDDEN),
            **_linear(weights, "down", HIDDEN, WIDTH),
            **_norm(weights, "output"),
            **_split("query"),
            **_split("key"),
            **_split("value"),
            **_context(),
            **_scalars(),
        },
        "Embeddings, one block of self-attention and feed-forward, post-norm, erf-GELU.",
    )


if __name__ == "__main__":
    save(build(), Path(__file__).with_suffix(".onnx"))
