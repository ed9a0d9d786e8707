"""FLOPs and bytes per operator, against numbers worked out by hand from the specifications."""

import math

import numpy as np
import onnx
import onnx_ir as ir
import pytest

from ncgopt.cost import conv_flops, graph_cost, matmul_flops, node_cost, recurrent_flops
from ncgopt.cost.graph import static_shape


def _model(node: str, inputs: str, weights: dict[str, tuple[int, ...]] | None = None) -> ir.Model:
    """A model of one node with output y; weights hold zeros."""
    proto = onnx.parser.parse_model(
        f'<ir_version: 10, opset_import: ["" : 23, "com.microsoft" : 1]> g ({inputs}) => (y) {{ {node} }}'
        .replace("=> (y)", "=> (float y)")
    )  # fmt: skip
    for name, shape in (weights or {}).items():
        proto.graph.initializer.append(onnx.numpy_helper.from_array(np.zeros(shape, np.float32), name))
    return ir.from_proto(proto)


def _only(node: str, inputs: str, weights: dict[str, tuple[int, ...]] | None = None):
    operators = graph_cost(_model(node, inputs, weights), {}).operators
    assert len(operators) == 1
    (cost,) = operators.values()
    return cost


FLOPS = [
    ("y = MatMul(a, b)", "float[3,4] a, float[4,5] b", 2 * 3 * 4 * 5),
    ("y = MatMul(a, b)", "float[7,3,4] a, float[4,5] b", 7 * 2 * 3 * 4 * 5),
    ("y = MatMul(a, b)", "float[4] a, float[4,5] b", 2 * 4 * 5),
    ("y = MatMul(a, b)", "float[3,4] a, float[4] b", 2 * 3 * 4),
    ("y = Gemm <transA = 1> (a, b)", "float[4,3] a, float[4,5] b", 2 * 3 * 4 * 5),
    ("y = Gemm(a, b, c)", "float[3,4] a, float[4,5] b, float[5] c", 2 * 3 * 4 * 5 + 15),
    ("y = com.microsoft.FusedGemm <activation = \"Relu\"> (a, b, c)", "float[3,4] a, float[4,5] b, float[5] c",
     2 * 3 * 4 * 5 + 15 + 15),
    ("y = com.microsoft.FusedMatMul <transA = 1, transB = 1> (a, b)", "float[2,4,3] a, float[2,5,4] b",
     2 * 2 * 3 * 4 * 5),
    ("y = com.microsoft.FusedConv <activation = \"Relu\"> (a, b)", "float[1,3,8,8] a, float[6,3,3,3] b",
     6 * 36 * (2 * 27) + 6 * 36),
    ("y = Conv(a, b)", "float[1,3,8,8] a, float[6,3,3,3] b", 2 * 6 * 36 * 27),
    ("y = Conv(a, b, c)", "float[1,3,8,8] a, float[6,3,3,3] b, float[6] c", 2 * 6 * 36 * 27 + 6 * 36),
    ("y = Conv <group = 3> (a, b)", "float[1,3,8,8] a, float[3,1,3,3] b", 2 * 3 * 36 * 9),
    ("y = ConvTranspose(a, b)", "float[1,3,8,8] a, float[3,6,3,3] b", 2 * 3 * 64 * 6 * 9),
    ("y = Einsum <equation = \"bij,bjk->bik\"> (a, b)", "float[2,3,4] a, float[2,4,5] b", 2 * 2 * 3 * 4 * 5),
    ("y = Einsum <equation = \"...ij,...jk->...ik\"> (a, b)", "float[2,3,4] a, float[2,4,5] b", 2 * 2 * 3 * 4 * 5),
    ("y = Einsum <equation = \"i,j->ij\"> (a, b)", "float[3] a, float[4] b", 12),
    ("y = Einsum <equation = \"ij->i\"> (a)", "float[3,4] a", 12),
    ("y = Einsum <equation = \"ij->ji\"> (a)", "float[3,4] a", 0),
    ("y = Einsum <equation = \"ij,jk\"> (a, b)", "float[3,4] a, float[4,5] b", 2 * 3 * 4 * 5),
    ("y = Einsum <equation = \"ij,jk,kl->il\"> (a, b, c)", "float[2,3] a, float[3,4] b, float[4,5] c",
     2 * 2 * 3 * 4 + 2 * 2 * 4 * 5),
    ("y = Relu(a)", "float[3,4] a", 12),
    ("y = Add(a, b)", "float[3,4] a, float[4] b", 12),
    ("y = Sigmoid(a)", "float[3,4] a", 4 * 12),
    ("y = Sum(a, a, a)", "float[3,4] a", 2 * 12),
    ("y = Softmax(a)", "float[3,4] a", 5 * 12),
    ("y = LayerNormalization(a, b)", "float[3,4] a, float[4] b", 7 * 12),
    ("y = ReduceSum <keepdims = 0> (a)", "float[3,4] a", 12),
    ("y = GlobalAveragePool(a)", "float[1,3,8,8] a", 3 * 64),
    ("y = MaxPool <kernel_shape = [2,2], strides = [2,2]> (a)", "float[1,3,8,8] a", 3 * 16 * 4),
    ("y = Transpose(a)", "float[3,4] a", 0),
    ("y = Attention(a, b, c)", "float[2,3,5,4] a, float[2,3,7,4] b, float[2,3,7,4] c",
     2 * 3 * 5 * 7 * (2 * 4 + 2 * 4 + 6)),
    ("y = com.microsoft.MultiHeadAttention <num_heads = 3> (a, b, c)",
     "float[2,5,12] a, float[2,7,12] b, float[2,7,12] c", 2 * 3 * 5 * 7 * (2 * 4 + 2 * 4 + 6)),
]  # fmt: skip


@pytest.mark.parametrize(("node", "inputs", "flops"), FLOPS)
def test_flops(node, inputs, flops):
    cost = _only(node, inputs)
    assert (cost.unknown, cost.flops) == (0, flops)


def test_recurrent_layers_count_every_step_and_direction():
    node = 'y = LSTM <hidden_size = 6, direction = "bidirectional"> (a, w, r)'
    cost = _only(node, "float[5,2,3] a, float[2,24,3] w, float[2,24,6] r")
    step = 2 * 24 * (3 + 6) + 2 * 24 + 12 * 6
    assert cost.flops == 2 * 5 * 2 * step


def test_an_unknown_operator_is_unknown_and_not_free():
    cost = _only("y = com.microsoft.Mystery(a)", "float[3,4] a")
    assert (cost.nodes, cost.unknown, cost.flops) == (1, 1, 0)


def test_unknown_shapes_make_a_cost_unknown():
    cost = _only("y = Relu(a)", "float[] a")
    assert (cost.unknown, cost.unsized) == (1, 1)


@pytest.mark.parametrize(
    ("node", "inputs", "moved"),
    [
        ("y = Relu(a)", "float[3,4] a", 48 + 48),
        ("y = Add(a, a)", "float[3,4] a", 48 + 48),
        ("y = Relu(a)", "float16[3,4] a", 24 + 24),
        ("y = Gather(a, i)", "float[100,4] a, int64[2] i", 32 + 16 + 32),
        ("y = Squeeze(a)", "float[1,4] a", 0),
        ("y = Cast <to = 7> (a)", "float[3,4] a", 48 + 96),
    ],
)
def test_bytes_moved(node, inputs, moved):
    assert _only(node, inputs).bytes_moved == moved


def test_weights_count_their_stored_bytes():
    cost = _only("y = MatMul(a, w)", "float[3,4] a", {"w": (4, 5)})
    assert (cost.weight_bytes, cost.bytes_moved) == (80, 48 + 80 + 60)


def test_a_product_is_the_same_however_it_is_written():
    assert matmul_flops((3,), 4, 5) == matmul_flops((3, 1), 4, 5) == 2 * 3 * 4 * 5
    assert conv_flops((1, 5, 3), (1,), 4) == matmul_flops((3,), 4, 5)
    assert conv_flops((2, 5, 3), (1,), 4, bias=True) == 2 * matmul_flops((3,), 4, 5) + 2 * 15
    assert recurrent_flops(1, 1, 3, 4, 1, 0) == matmul_flops((1,), 3 + 4, 4) + 2 * 4


def test_one_node_with_shapes_from_anywhere():
    model = _model("y = MatMul(a, b)", "float[N,4] a, float[4,5] b")
    node = model.graph.node(0)
    assert node_cost(node, static_shape) is None
    shapes = {"a": (3, 4), "b": (4, 5), "y": (3, 5)}
    cost = node_cost(node, lambda value: shapes[value.name or ""])
    assert cost is not None
    assert cost.flops == 2 * math.prod((3, 4, 5))
