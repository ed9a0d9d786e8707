"""Whatever may be cut computes in pieces what it computes as a whole, whether or not that would pay."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import onnx
import pytest
from onnx import numpy_helper
from semantics import run_ort

from ncgopt import facts
from ncgopt import model as models
from ncgopt.memory.region import Cut, grow, pieces_of, places
from ncgopt.passes._pieces import Cutter, can_be_cut
from ncgopt.passes.split_for_memory import _found  # pyright: ignore[reportPrivateUsage]
from ncgopt.rewrite import Session

CAN = {
    "dilated and strided": 'float[2, 3, 17] x) => (float[2, 4, 8] y) <float[4, 3, 3] w, float[4] b> '
    "{ a = Exp(x)  y = Conv<dilations = [2], strides = [2], pads = [2, 1]>(a, w, b) }",
    "without padding": "float[1, 2, 9, 7] x) => (float[1, 2, 7, 5] y) <float[2, 2, 3, 3] w> "
    '{ a = Exp(x)  y = Conv<auto_pad = "VALID">(a, w) }',
    "depthwise": "float[1, 4, 9] x) => (float[1, 4, 9] y) <float[4, 1, 3] w, float[4] b> "
    "{ a = Exp(x)  y = Conv<group = 4, pads = [1, 1]>(a, w, b) }",
    "windows of windows": "float[1, 2, 24] x) => (float[1, 2, 11] y) <float[2, 2, 5] w> "
    "{ a = MaxPool<kernel_shape = [3], pads = [1, 1]>(x)  b = Conv<pads = [2, 2]>(a, w) "
    " y = AveragePool<kernel_shape = [4], strides = [2]>(b) }",
    "averages that count the padding": "float[1, 2, 8] x) => (float[1, 2, 9] y) "
    "{ a = Exp(x)  y = AveragePool<kernel_shape = [2], pads = [1, 1], count_include_pad = 1>(a) }",
    "averages that do not": "float[1, 2, 8] x) => (float[1, 2, 9] y) "
    "{ a = Exp(x)  y = AveragePool<kernel_shape = [2], pads = [1, 1]>(a) }",
    "broadcast both ways": "float[4, 1, 6] x, float[5, 1] z) => (float[4, 5, 6] y) { a = Exp(x)  y = Mul(a, z) }",
    "a scale of several rows": "float[2, 4, 3] x) => (float[2, 4, 3] y) <float[4, 3] w, float[4, 3] b> "
    "{ a = Exp(x)  y = LayerNormalization<axis = -1>(a, w, b) }",
    "a bias turned round": "float[6, 4] x) => (float[4, 3] y) <float[3, 6] w, float[4, 1] b> "
    "{ a = Exp(x)  y = Gemm<transA = 1, transB = 1, alpha = 0.5, beta = 2.0>(a, w, b) }",
    "a matrix and itself": "float[4, 4] x) => (float[4, 4] y) { a = Exp(x)  y = MatMul(a, a) }",
    "heads": "float[N, 6, 8] x) => (float[N, 2, 6, 4] y) <int64[4] s = {0, 6, 2, 4}> "
    "{ a = Exp(x)  b = Reshape(a, s)  y = Transpose<perm = [0, 2, 1, 3]>(b) }",
    "a size that is copied": "float[1, 4, 4] x) => (float[4, 4, 1] y) <int64[3] s = {4, 0, -1}> "
    "{ a = Exp(x)  y = Reshape(a, s) }",
}  # fmt: skip


def made(text: str) -> onnx.ModelProto:
    model = onnx.parser.parse_model(f'<ir_version: 8, opset_import: ["" : 17]> g ({text}')
    known = {tensor.name for tensor in model.graph.initializer}
    rng = np.random.default_rng(1)
    for value in list(model.graph.value_info):
        if value.name in {"w", "b"} - known and value.name not in {o for n in model.graph.node for o in n.output}:
            dims = [dim.dim_value for dim in value.type.tensor_type.shape.dim]
            model.graph.initializer.append(
                numpy_helper.from_array(rng.standard_normal(dims).astype(np.float32), value.name)
            )
    return model


def loaded(model: onnx.ModelProto) -> tuple[object, Session]:
    copy = models.from_proto(model).model
    session = Session(copy)
    facts.survey(copy)
    return copy, session


def cuts(model: onnx.ModelProto) -> Iterator[Cut]:
    graph = loaded(model)[0].graph
    at = places(graph)
    for value in (node.outputs[0] for node in graph):
        dims = facts.shape(value) or ()
        for axis in (*(axis for axis, dim in enumerate(dims) if isinstance(dim, int) and dim > 1), None):
            for region in grow(value, axis, at):
                for pieces in pieces_of(region, 4):
                    if can_be_cut(region, pieces):
                        yield Cut(value.name or "", axis, len(region.nodes), pieces)


def cut(model: onnx.ModelProto, one: Cut) -> onnx.ModelProto:
    copy, session = loaded(model)
    region = _found(copy.graph, one)
    assert region is not None
    Cutter(copy.graph, region, session).cut(one.pieces)
    return models.to_proto(copy)


@pytest.mark.parametrize("name", CAN)
def test_pieces_give_the_whole(name):
    model = made(CAN[name])
    rng = np.random.default_rng(0)
    feeds = {
        value.name: rng.standard_normal([dim.dim_value or 2 for dim in value.type.tensor_type.shape.dim]).astype("f")
        for value in model.graph.input
    }
    expected = run_ort(model, feeds)
    found = list(cuts(model))
    assert found
    for one in found:
        np.testing.assert_allclose(run_ort(cut(model, one), feeds)[0], expected[0], rtol=1e-4, atol=1e-5, err_msg=one)


CANNOT = {
    "one parameter for each element": '7]> g (float[2, 3, 4] x) => (float[2, 3, 4] y) '
    "<float[3, 4] s = {1,2,3,4,5,6,7,8,9,1,2,3}> { y = BatchNormalization<spatial = 0>(x, s, s, s, s) }",
    "padding by itself": '17]> g (float[1, 2, 8] x) => (float[1, 2, 8] y) '
    '{ y = MaxPool<kernel_shape = [3], auto_pad = "SAME_UPPER">(x) }',
    "softmax over all that follows": '11]> g (float[1, 2, 8] x) => (float[1, 2, 8] y) { y = Softmax<axis = 1>(x) }',
}  # fmt: skip


@pytest.mark.parametrize("name", CANNOT)
def test_what_stays_whole(name):
    model = onnx.parser.parse_model(f'<ir_version: 8, opset_import: ["" : {CANNOT[name]}')
    assert not [one for one in cuts(model) if one.axis == 2]
