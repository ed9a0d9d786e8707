"""Every adapter: the upgraded model computes what the old one does, in ONNX Runtime, on the same data."""

from __future__ import annotations

import numpy as np
import onnx
import onnx_ir as ir
import onnxruntime as ort
import pytest

from ncgopt import opset
from ncgopt.errors import Usage
from ncgopt.model import from_proto, to_proto
from ncgopt.opset.adapters import ADAPTERS
from ncgopt.rewrite.session import Session

# Name of the case: operator set, graph. What begins with `ONLY` runs in no ONNX Runtime before, see EXPECTED.
CASES = {
    "Squeeze": (11, "g (float[1, N, 1] x) => (float[N] y) { y = Squeeze<axes = [0, -1]>(x) }"),
    "Squeeze all": (11, "g (float[1, 4, 1] x) => (float[4] y) { y = Squeeze(x) }"),
    "Unsqueeze": (11, "g (float[N] x) => (float[1, N, 1] y) { y = Unsqueeze<axes = [0, 2]>(x) }"),
    "ReduceSum": (11, "g (float[N, 3] x) => (float[N] y) { y = ReduceSum<axes = [1], keepdims = 0>(x) }"),
    "ReduceMean": (13, "g (float[N, 3] x) => (float[1, 3] y) { y = ReduceMean<axes = [0]>(x) }"),
    "ReduceL2 all": (13, "g (float[N, 3] x) => (float[1, 1] y) { y = ReduceL2(x) }"),
    "ReduceMax": (11, "g (float[N, 3] x) => (float[N, 1] y) { y = ReduceMax<axes = [-1]>(x) }"),
    "Split": (11, "g (float[4, N] x) => (float[1, N] a, float[3, N] b) { a, b = Split<split = [1, 3]>(x) }"),
    "Split evenly": (11, "g (float[4, N] x) => (float[2, N] a, float[2, N] b) { a, b = Split(x) }"),
    "Split by input": (13, "g (float[4, N] x) => (float[1, N] a, float[3, N] b) <int64[2] s = {1, 3}> { a, b = Split(x, s) }"),
    "Slice": (9, "g (float[6, 6] x) => (float[3, 4] y) { y = Slice<starts = [1, -5], ends = [4, 999], axes = [0, 1]>(x) }"),
    "Slice without axes": (9, "g (float[6, N] x) => (float[3, N] y) { y = Slice<starts = [1], ends = [4]>(x) }"),
    "TopK": (9, "g (float[3, 7] x) => (float[3, 2] y, int64[3, 2] i) { y, i = TopK<k = 2, axis = 1>(x) }"),
    "Clip": (10, "g (float[N, 3] x) => (float[N, 3] y) { y = Clip<min = -0.5, max = 0.25>(x) }"),
    "Clip bounds infinities": (
        7,
        "g (float[2] x) => (float[2] y) <float[2] k = {0.0, -0.0}> { t = Exp(x) u = Div(t, k) y = Clip(u) }",
    ),
    "Pad": (10, "g (float[N, 3] x) => (float[A, B] y) { y = Pad<pads = [0, 1, 2, 0], value = 1.5>(x) }"),
    "Pad with zeros": (10, "g (float[N, 3] x) => (float[A, B] y) { y = Pad<pads = [1, 0, 0, -1]>(x) }"),
    "Pad reflects": (10, "g (float[N, 3] x) => (float[A, B] y) { y = Pad<mode = \"reflect\", pads = [0, 1, 0, 2]>(x) }"),
    "Dropout": (10, "g (float[N, 3] x) => (float[N, 3] y) { y = Dropout<ratio = 0.25>(x) }"),
    "Dropout of old": (7, "g (float[N, 3] x) => (float[N, 3] y) { y = Dropout(x) }"),
    "DFT": (17, "g (float[1, 8, 1] x) => (float[1, A, 2] y) { y = DFT<onesided = 1>(x) }"),
    "DFT along another axis": (17, "g (float[1, 4, 8, 2] x) => (float[1, 4, 8, 2] y) { y = DFT<axis = 2>(x) }"),
    "Softmax of a row": (11, "g (float[N, 3] x) => (float[N, 3] y) { y = Softmax(x) }"),
    "Softmax along the last axis": (11, "g (float[N, 3, 4] x) => (float[N, 3, 4] y) { y = Softmax<axis = -1>(x) }"),
    "Softmax of a matrix": (11, "g (float[N, 3, 4] x) => (float[N, 3, 4] y) { y = Softmax(x) }"),
    "Softmax of everything": (11, "g (float[N, 3, 4] x) => (float[N, 3, 4] y) { t = Neg(x) y = Softmax<axis = 0>(t) }"),
    "Softmax over pixels": (11, "g (float[N, 3, 1, 1] x) => (float[N, 3, 1, 1] y) { y = Softmax(x) }"),
    "LogSoftmax of a matrix": (11, "g (float[N, 3, 4] x) => (float[N, 3, 4] y) { y = LogSoftmax<axis = -2>(x) }"),
    "Hardmax of a matrix": (11, "g (float[N, 3, 4] x) => (float[N, 3, 4] y) { y = Hardmax(x) }"),
    "Upsample": (8, "g (float[1, 2, 3, N] x) => (float[1, 2, A, B] y) { y = Upsample<scales = [1.0, 1.0, 2.0, 1.5]>(x) }"),
    "Upsample linear": (9, "g (float[1, 2, 3, N] x) => (float[1, 2, A, B] y) <float[4] s = {1.0, 1.0, 2.0, 1.5}>"
                        " { y = Upsample<mode = \"linear\">(x, s) }"),
    "Upsample by a computed scale": (9, "g (float[1, 2, 3, N] x, float[4] s) => (float[1, 2, A, B] y) { y = Upsample(x, s) }"),
    "Resize up": (10, "g (float[1, 2, 3, N] x) => (float[1, 2, A, B] y) <float[4] s = {1.0, 1.0, 2.3, 1.7}> { y = Resize(x, s) }"),
    "Resize down": (10, "g (float[1, 2, 9, 9] x) => (float[1, 2, A, B] y) <float[4] s = {1.0, 1.0, 0.6, 0.4}> { y = Resize(x, s) }"),
    "Resize linear": (10, "g (float[1, 2, 9, 9] x) => (float[1, 2, A, B] y) <float[4] s = {1.0, 1.0, 0.6, 1.4}>"
                      " { y = Resize<mode = \"linear\">(x, s) }"),
    "Resize to sizes": (11, "g (float[1, 2, 9, 9] x) => (float[1, 2, 5, 20] y) <float[0] e = {}, int64[4] s = {1, 2, 5, 20}>"
                        " { y = Resize<mode = \"linear\">(x, e, e, s) }"),
    "Resize a region": (11, "g (float[1, 1, 9, 9] x) => (float[1, 1, 5, 4] y) <float[0] e = {}, int64[4] s = {1, 1, 5, 4},"
                        " float[8] r = {0.0, 0.0, 0.2, 0.1, 1.0, 1.0, 0.7, 0.9}>"
                        " { y = Resize<mode = \"linear\", coordinate_transformation_mode = \"tf_crop_and_resize\">(x, r, e, s) }"),
    "GridSample": (16, "g (float[1, 1, 4, 4] x, float[1, 3, 3, 2] w) => (float[1, 1, 3, 3] y) { y = GridSample(x, w) }"),
    "GridSample cubic": (16, "g (float[1, 1, 4, 4] x, float[1, 3, 3, 2] w) => (float[1, 1, 3, 3] y)"
                         " { y = GridSample<mode = \"bicubic\">(x, w) }"),
    "RoiAlign": (10, "g (float[1, 1, 8, 8] x) => (float[1, 1, 2, 2] y) <float[1, 4] r = {1.0, 1.0, 6.0, 5.0}, int64[1] b = {0}>"
                 " { y = RoiAlign<output_height = 2, output_width = 2>(x, r, b) }"),
    "BatchNormalization": (8, "g (float[N, 3, 2] x) => (float[N, 3, 2] y) <float[3] s = {1.0, 2.0, 3.0}, float[3] v = {0.5, 2.0, 1.5}>"
                           " { y = BatchNormalization<spatial = 1>(x, s, s, v, v) }"),
    "Gemm": (9, "g (float[N, 3] x) => (float[N, 2] y) <float[3, 2] w = {1.0, 2.0, 3.0, 4.0, 5.0, 6.0}, float[2] b = {1.0, 2.0}>"
             " { y = Gemm(x, w, b) }"),
    "Scatter": (9, "g (float[3, 3] x) => (float[3, 3] y) <int64[1, 2] i = {2, 0}, float[1, 2] u = {9.0, 8.0}>"
                " { y = Scatter<axis = 1>(x, i, u) }"),
    "OneHot": (10, "g (float[2] x) => (float[3, 4] y) <int64[3] i = {0, 3, 7}, int64 d = {4}> { y = OneHot(i, d, x) }"),
    "ConvTranspose": (9, "g (float[1, 1, N] x) => (float[1, 1, A] y) <float[1, 1, 3] w = {1.0, 2.0, 3.0}>"
                      " { y = ConvTranspose<strides = [2]>(x, w) }"),
    "LSTM": (7, "g (float[2, N, 3] x, float[1, 8, 3] w, float[1, 8, 2] r) => (float[2, 1, N, 2] y)"
             " { y = LSTM<hidden_size = 2>(x, w, r) }"),
}  # fmt: skip
RANGE = "g (float x, float l) => (float[A] y) <float d = {0.5}> { y = Range(x, l, d) }"

# Before operator set 7 ONNX Runtime runs little; what comes out is what the specification says.
EXPECTED = {
    "Add along an axis": (
        "g (float[2, 3, 4] x, float[3] w) => (float[2, 3, 4] y) { y = Add<broadcast = 1, axis = 1>(x, w) }",
        lambda x, w: x + w[:, None],
    ),
    "Mul with a constant along the first axis": (
        "g (float[2, 3] x) => (float[2, 3] y) <float[2] k = {2.0, 3.0}> { y = Mul<broadcast = 1, axis = 0>(x, k) }",
        lambda x: x * np.array([[2], [3]], np.float32),
    ),
    "Sub aligned at the end": (
        "g (float[2, 3, 4] x, float[4] w) => (float[2, 3, 4] y) { y = Sub<broadcast = 1, consumed_inputs = [0, 0]>(x, w) }",
        lambda x, w: x - w,
    ),
    "PRelu per channel": (
        "g (float[2, 3, 4] x) => (float[2, 3, 4] y) <float[3] k = {1.0, 2.0, 4.0}> { y = PRelu(x, k) }",
        lambda x: np.where(x < 0, x * np.array([[1], [2], [4]], np.float32), x),
    ),
    "BatchNormalization": (
        "g (float[2, 3] x, float[3] s) => (float[2, 3] y)"
        " { y = BatchNormalization<is_test = 1, epsilon = 0.0, consumed_inputs = [0, 0, 0, 1, 1]>(x, s, s, s, s) }",
        lambda x, s: (x - s) / np.sqrt(s) * s + s,
    ),
    "Gemm": (
        "g (float[2, 3] x, float[3, 4] w, float[4] c) => (float[2, 4] y) { y = Gemm<broadcast = 1>(x, w, c) }",
        lambda x, w, c: x @ w + c,
    ),
    "Dropout": ("g (float[2] x) => (float[2] y) { y = Dropout<is_test = 1>(x) }", lambda x: x),
    "Concat and Cast": (
        "g (float[2, 3] x) => (int32[2, 6] y) { t = Concat<axis = 1>(x, x) y = Cast<to = 6>(t) }",
        lambda x: np.concatenate([x, x], 1).astype(np.int32),
    ),
}

REFUSED = {
    "Squeeze of nothing": (11, "g (float[1, N] x) => (float[A] y) { y = Squeeze<axes: ints = []>(x) }", "empty list of axes"),
    "OneHot of anything": (
        10, "g (float[2] x, int64[3] i) => (float[3, 4] y) <int64 d = {4}> { y = OneHot(i, d, x) }", "negative indices",
    ),
    "Resize both ways": (
        10, "g (float[1, 1, 9, 9] x) => (float[1, 1, A, B] y) <float[4] s = {1.0, 1.0, 0.5, 2.0}> { y = Resize(x, s) }",
        "do both",
    ),
    "Resize by an unknown scale": (
        10, "g (float[1, 1, 9, 9] x, float[4] s) => (float[1, 1, A, B] y) { y = Resize(x, s) }", "not known",
    ),
    "Resize in a way that went": (
        11, "g (float[1, 1, 9, 9] x) => (float[1, 1, 5, 5] y) <float[0] e = {}, int64[4] s = {1, 1, 5, 5}>"
        ' { y = Resize<coordinate_transformation_mode = "tf_half_pixel_for_nn">(x, e, e, s) }', "tf_half_pixel_for_nn",
    ),
    "BatchNormalization per element": (
        8, "g (float[N, 3, 2] x, float[3, 2] s) => (float[N, 3, 2] y) { y = BatchNormalization<spatial = 0>(x, s, s, s, s) }",
        "per element",
    ),
    "BatchNormalization that trains": (
        6, "g (float[N, 3] x, float[3] s) => (float[N, 3] y) { y = BatchNormalization(x, s, s, s, s) }", "training",
    ),
    "BatchNormalization that returns statistics": (
        9, "g (float[N, 3] x, float[3] s) => (float[N, 3] y, float[3] m) { y, m, v = BatchNormalization(x, s, s, s, s) }",
        "statistics",
    ),
    "Dropout with a mask": (
        10,
        "g (float[N] x) => (float[N] y, bool[N] m) { y, m = Dropout(x) }",
        "outside training",
    ),
    "Dropout with an old mask": (
        7, "g (float[N] x) => (float[N] y, float[N] m) { y, m = Dropout(x) }", "mask",
    ),
    "ConvTranspose with automatic padding": (
        9, "g (float[1, 1, N] x, float[1, 1, 3] w) => (float[1, 1, A] y) { y = ConvTranspose<auto_pad = \"SAME_UPPER\">(x, w) }",
        "odd padding",
    ),
    "GroupNormalization of unknown channels": (
        18, "g (float[1, C, 2] x, float[2] s) => (float[1, C, 2] y) { y = GroupNormalization<num_groups = 2>(x, s, s) }",
        "number of channels",
    ),
    "Scan with lengths": (
        8, "g (float[1, 2] i, float[1, 3, 2] x) => (float[1, 2] y, float[1, 3, 2] z) { y, z = Scan<num_scan_inputs = 1,"
        " body = b (float[2] a, float[2] c) => (float[2] d, float[2] e) { d = Add(a, c) e = Identity(d) }>(, i, x) }",
        "fewer inputs",
    ),
    "an operator from the future": (17, "g (float[N] x) => (float[N] y) { y = Mish(x) }", "newer than the operator set"),
    "an operator from nowhere": (17, "g (float[N] x) => (float[N] y) { y = Frobnicate(x) }", "no standard operator"),
    "Add of unknown rank": (
        6,
        "g (float[2, 3] x, float[2] s, int64[K] n) => (float[2, 3] y)"
        " { t = Reshape(x, n) y = Add<broadcast = 1, axis = 0>(t, s) }",
        "ranks",
    ),
}  # fmt: skip


def parsed(version: int, text: str) -> onnx.ModelProto:
    model = onnx.parser.parse_model(f'<ir_version: 8, opset_import: ["" : {version}]> {text}')
    for node in model.graph.node:
        node.name = f"the {node.op_type}"
    return model


def upgraded(model: onnx.ModelProto, target: int) -> onnx.ModelProto:
    loaded = from_proto(model).model
    opset.upgrade(loaded, target, Session(loaded).fresh_name, lambda version, ir_version: True)
    return to_proto(loaded)


def run(model: onnx.ModelProto, feeds):
    options = ort.SessionOptions()
    options.graph_optimization_level = ort.GraphOptimizationLevel.ORT_DISABLE_ALL
    options.log_severity_level = 4
    return ort.InferenceSession(model.SerializeToString(), options, providers=["CPUExecutionProvider"]).run(None, feeds)


def feeds_of(model: onnx.ModelProto):
    rng = np.random.default_rng(0)
    feeds = {}
    for value in model.graph.input:
        shape = [d.dim_value or 4 for d in value.type.tensor_type.shape.dim]
        array = rng.uniform(0.1, 0.9, shape) if value.name in ("s", "w", "r") else rng.normal(0, 2, shape)
        feeds[value.name] = array.astype(np.float32)
    if model.graph.node[-1].op_type == "Upsample" and "s" in feeds:
        feeds["s"] = np.array([1, 1, 2, 1.5], np.float32)
    return feeds


@pytest.mark.parametrize("target", [23, "next"])
@pytest.mark.parametrize("name", CASES)
def test_same_results(name, target):
    version, text = CASES[name]
    before = parsed(version, text)
    if "RoiAlign" in name:
        target = 16  # ONNX Runtime has no kernel for the form of operator set 22
    if target == "next":
        steps = [v for op, v in ADAPTERS if op in {node.op_type for node in before.graph.node} and v > version]
        target = min(steps, default=23)
    after = upgraded(before, target)
    assert after.opset_import[0].version == target
    onnx.checker.check_model(after)
    feeds = feeds_of(before)
    for left, right in zip(run(before, feeds), run(after, feeds), strict=True):
        assert left.dtype == right.dtype
        assert left.shape == right.shape
        assert left.tobytes() == right.tobytes()


@pytest.mark.parametrize("name", EXPECTED)
def test_what_onnx_runtime_runs_only_afterwards(name):
    text, expected = EXPECTED[name]
    before = parsed(6, text)
    after = upgraded(before, 23)
    onnx.checker.check_model(after, full_check=True)
    feeds = feeds_of(before)
    (found,) = run(after, feeds)
    np.testing.assert_allclose(found, expected(*feeds.values()), rtol=1e-6)


@pytest.mark.parametrize("name", REFUSED)
def test_refused_by_name(name):
    version, text, reason = REFUSED[name]
    with pytest.raises(Usage) as caught:
        upgraded(parsed(version, text), 23)
    assert str(caught.value).startswith("--opset 23: ")
    assert reason in str(caught.value)
    assert "\n" not in str(caught.value)


def test_group_normalization_gets_parameters_per_channel():
    text = (
        "g (float[2, 4, 3] x, float[2] s) => (float[2, 4, 3] y) <float[2] b = {1.0, 2.0}>"
        " { y = GroupNormalization<num_groups = 2, epsilon = 0.0>(x, s, b) }"
    )
    before = parsed(18, text)
    feeds = feeds_of(before)
    (found,) = run(upgraded(before, 21), feeds)
    x, scale, bias = feeds["x"].reshape(2, 2, 6), feeds["s"][:, None], np.array([[1], [2]], np.float32)
    expected = (x - x.mean(2, keepdims=True)) / x.std(2, keepdims=True) * scale + bias
    np.testing.assert_allclose(found, expected.reshape(2, 4, 3), rtol=1e-4, atol=1e-5)


def test_clip_in_a_function_that_is_called_with_several_types():
    model = onnx.parser.parse_model(
        '<ir_version: 8, opset_import: ["" : 17, "f" : 1]> g (float16[N] x, float[N] w) => (float16[N] y, float[N] z)'
        "{ y = f.act(x) z = f.act(w) }"
        '<domain: "f", opset_import: ["" : 10]> act (a) => (b) { b = Clip<min = 0.0, max = 6.0>(a) }'
    )
    after = upgraded(model, 23)
    numbers = [-1, 3, 9]
    found = run(after, {"x": np.array(numbers, np.float16), "w": np.array(numbers, np.float32)})
    assert [array.tolist() for array in found] == [[0, 3, 6], [0, 3, 6]]
    assert [array.dtype for array in found] == [np.float16, np.float32]


def test_axes_that_the_caller_of_a_function_gives():
    model = onnx.parser.parse_model(
        '<ir_version: 8, opset_import: ["" : 17, "f" : 1]>'
        "g (float[2, 3] x) => (float[2, 1] y) { y = f.mean<axes = [1]>(x) }"
        '<domain: "f", opset_import: ["" : 17]> mean<axes> (a) => (b) { b = ReduceMean<axes: ints = @axes>(a) }'
    )
    after = upgraded(model, 23)
    x = np.arange(6, dtype=np.float32).reshape(2, 3)
    assert run(after, {"x": x})[0].tolist() == [[1], [4]]


def test_a_setting_that_the_caller_gives_is_refused_where_it_decides():
    model = onnx.parser.parse_model(
        '<ir_version: 8, opset_import: ["" : 17, "f" : 1]> g (float[2, 3] x) => (float[2, 3] y) { y = f.s<axis = 1>(x) }'
        '<domain: "f", opset_import: ["" : 11]> s<axis> (a) => (b) { b = Softmax<axis: int = @axis>(a) }'
    )
    with pytest.raises(Usage, match=r"Softmax 'b' in function f::s: attribute axis is given by the caller"):
        upgraded(model, 23)


def test_range_of_halves_is_refused():
    halves = parsed(11, RANGE.replace("float", "float16").replace("{0.5}", "{14336}"))
    upgraded(halves, 26)
    with pytest.raises(Usage, match="summed up in float"):
        upgraded(halves, 27)
    upgraded(parsed(11, RANGE), 27)


def test_every_adapter_has_a_test():
    texts = [text for _, text in CASES.values()] + [text for text, _ in EXPECTED.values()]
    texts += [text for _, text, _ in REFUSED.values()] + [RANGE, "GroupNormalization("]
    untested = {op for op, _ in ADAPTERS if not any(f"{op}(" in text or f"{op}<" in text for text in texts)}
    one_for_all = {
        op for op, version in ADAPTERS if ADAPTERS[op, version].__name__ in ("in_place_hint", "binary", "axes")
    }
    assert untested <= one_for_all | {"GRU", "RNN", "Reshape"}


def test_names_of_new_things_are_new():
    text = "g (float[1, N] x) => (float[N] y) { the_axes = Neg(x) y = Squeeze<axes = [0]>(the_axes) }"
    model = parsed(11, text)
    model.graph.node[1].name = "the"
    after = upgraded(model, 13)
    names = [name for node in after.graph.node for name in (node.name, *node.output)]
    assert len(set(names)) == len(names)


def test_the_softmax_keeps_its_name_and_texts():
    model = parsed(11, CASES["Softmax of a matrix"][1])
    node = model.graph.node[0]
    node.doc_string = "attention"
    node.metadata_props.add(key="origin", value="layer 3")
    after = upgraded(model, 23)
    softmax = next(node for node in after.graph.node if node.op_type == "Softmax")
    assert (softmax.name, softmax.doc_string, softmax.metadata_props[0].value) == (
        "the Softmax",
        "attention",
        "layer 3",
    )
    assert ir.DataType(after.graph.output[0].type.tensor_type.elem_type) == ir.DataType.FLOAT
