"""The cost of whole models: dimensions bound, shapes followed, subgraphs and functions looked into."""

import numpy as np
import onnx
import pytest

from ncgopt.cost import graph_cost
from ncgopt.cost.shapes import bound
from ncgopt.model import from_proto

HEAD = '<ir_version: 10, opset_import: ["" : 21, "com.microsoft" : 1, "local" : 1]>'


def _model(text, **weights):
    proto = onnx.parser.parse_model(f"{HEAD} {text}")
    for name, shape in weights.items():
        proto.graph.initializer.append(onnx.numpy_helper.from_array(np.zeros(shape, np.float32), name))
    return from_proto(proto).model


def _shape(model, name, **sizes):
    for node in bound(model, sizes).graph:
        for value in node.outputs:
            if value.name == name:
                return None if value.shape is None else tuple(value.shape)
    raise AssertionError(name)


def test_symbolic_dimensions_are_bound_or_one():
    model = _model("g (float[batch, length] x) => (float[batch, length] y) { y = Relu(x) }")
    cost = graph_cost(model, {"length": 7})
    assert (cost.flops, cost.bindings) == (7, {"batch": 1, "length": 7})


def test_dimensions_may_be_expressions():
    model = _model('g (float["past + now"] x, float[past] p, float[now] n) => (float[past] y) { y = Relu(x) }')
    assert graph_cost(model, {"past": 4, "now": 3}).flops == 7


def test_the_model_itself_is_not_changed():
    model = _model("g (float[N, 300] x) => (float[N, 300] y) { y = MatMul(x, w) }", w=(300, 300))
    before = onnx.printer.to_text(onnx.ModelProto.FromString(_bytes(model)))
    graph_cost(model, {"N": 5})
    assert onnx.printer.to_text(onnx.ModelProto.FromString(_bytes(model))) == before


def _bytes(model):
    from ncgopt.model import to_proto

    return to_proto(model).SerializeToString()


def test_what_is_declared_for_inner_values_is_not_believed():
    model = _model("g (float[2] x) => (float[9] y) <float[5] a> { a = Relu(x)  y = Relu(a) }")
    assert graph_cost(model, {}).flops == 4


def test_shapes_that_the_model_computes_are_followed():
    model = _model("""g (float[N, 6] x) => (float[A, B] y)
        <int64[1] two = {2}, int64[1] zero = {0}, int64[1] one = {1}> {
        shape = Shape(x)  n = Gather(shape, zero)  double = Mul(n, two)  six = Gather(shape, one)  rest = Div(six, two)
        target = Concat <axis = 0> (double, rest)  y0 = Reshape(x, target)  y = Relu(y0)
    }""")
    assert _shape(model, "y", N=5) == (10, 3)


def test_a_shape_behind_a_computed_shape_is_followed():
    model = _model("""g (float[N, 6] x) => (float[A] y) <int64[1] flat = {-1}, int64[1] zero = {0}> {
        a = Reshape(x, flat)  s = Shape(a)  n = Gather(s, zero)  b = Expand(c, n)  t = Shape(b)  d = Reshape(b, t)
        y = Relu(d)
    }""", c=(1,))  # fmt: skip
    assert _shape(model, "y", N=5) == (30,)


@pytest.mark.parametrize(
    ("node", "shape"),
    [
        ('com.microsoft.FusedGemm <activation = "Relu"> (x, w)', (5, 4)),
        ("com.microsoft.FusedMatMul <transB = 1> (x, v)", (5, 4)),
        ("com.microsoft.BiasGelu(x, b)", (5, 6)),
        ("com.microsoft.SkipLayerNormalization(x, x, b)", (5, 6)),
        ("SimplifiedLayerNormalization(x, b)", (5, 6)),
    ],
)
def test_contrib_operators_do_not_end_the_knowledge(node, shape):
    text = f"g (float[N, 6] x) => (float[A, B] y) {{ a = {node}  y = Relu(a) }}"
    model = _model(text, w=(6, 4), v=(4, 6), b=(6,))
    assert _shape(model, "y", N=5) == shape
    assert graph_cost(model, {"N": 5}).unknown == 0


def test_the_sum_that_a_skip_normalization_also_gives_is_known():
    model = _model(
        "g (float[N, 6] x) => (float[A] y) { a, , , s = com.microsoft.SkipLayerNormalization(x, x, b)  y = Relu(s) }",
        b=(6,),
    )
    assert _shape(model, "y", N=5) == (5, 6)


def test_nodes_keep_their_operators():
    model = _model(
        "g (float[N, 6] x) => (float[A, B] y) { a = com.microsoft.BiasGelu(x, b) s = Shape(a) y = Reshape(a, s) }",
        b=(6,),
    )
    assert [node.op_type for node in bound(model, {}).graph] == ["BiasGelu", "Shape", "Reshape"]


def test_functions_count_at_every_call():
    proto = onnx.parser.parse_model(f"""{HEAD}
    g (float[N] x) => (float[N] y) {{ a = local.twice(x)  y = local.twice(a) }}
    <domain: "local", opset_import: ["" : 21]> twice (i) => (o) {{ t = Exp(i)  o = Sigmoid(t) }}""")
    assert graph_cost(from_proto(proto).model, {"N": 3}).flops == 2 * 3 * (1 + 4)


BRANCHES = """g (float[N] x, bool c) => (float[A] y) {
    y = If (c) <then_branch = t () => (float[N] u) { u = Sigmoid(x) },
                else_branch = e () => (float[N] u) { u = Relu(x) }>
}"""


def test_of_an_if_the_more_expensive_branch_counts():
    cost = graph_cost(_model(BRANCHES), {"N": 3})
    assert cost.flops == 12
    assert cost.notes == ("If: the branch with more FLOPs counts",)


LOOP = """g (float[N] x, int64 n) => (float[N] y) {{
    trips = Constant <value = int64 {{{trips}}}> ()
    y = Loop ({which}, , x) <body = b (int64 i, bool ci, float[N] s) => (bool co, float[N] so)
        {{ co = Identity(ci)  so = Relu(x) }}>
}}"""


def test_a_loop_counts_as_often_as_it_runs():
    cost = graph_cost(_model(LOOP.format(trips=7, which="trips")), {"N": 3})
    assert (cost.flops, cost.notes) == (21, ())


def test_a_loop_of_unknown_length_counts_once_and_says_so():
    cost = graph_cost(_model(LOOP.format(trips=7, which="n")), {"N": 3})
    assert cost.flops == 3
    assert "number of rounds not known" in cost.notes[0]


def test_weights_need_not_be_there():
    model = onnx.parser.parse_model(f"{HEAD} g (float[N, 300] x) => (float[N, 300] y) {{ y = MatMul(x, w) }}")
    weight = model.graph.initializer.add(name="w", data_type=1, dims=[300, 300])
    weight.data_location = onnx.TensorProto.EXTERNAL
    weight.external_data.add(key="location", value="nowhere")
    import onnx_ir as ir

    assert graph_cost(ir.from_proto(model), {"N": 2}).flops == 2 * 2 * 300 * 300


def test_sizes_that_do_not_fit_leave_costs_unknown():
    model = _model("g (float[1, 1, H, W] x) => (float[A, B, C, D] y) { y = Conv(x, w) }", w=(1, 1, 3, 3))
    assert graph_cost(model, {"H": 1, "W": 1}).unknown == 1
    assert graph_cost(model, {"H": 3, "W": 3}).flops == 18
