"""Float64 references that stay small: weights are widened a block at a time, and only where arithmetic is done."""

import tracemalloc
import warnings

import numpy as np
import onnx
import pytest
from onnx import numpy_helper
from onnx.backend.test.case.node import collect_testcases

from ncgopt.model import from_proto
from ncgopt.verify.precise import NoReference, kernels, narrow, run, run_precisely
from ncgopt.verify.windows.side import Side

RNG = np.random.default_rng(11)


def weight(*shape, dtype=np.float32):
    return RNG.standard_normal(shape).astype(dtype)


def reference(text, feeds, **weights):
    """What a model computes in float64, its weights handed over as initializers; the last value is asked for."""
    proto = onnx.parser.parse_model(f'<ir_version: 9, opset_import: ["" : 18]> {text}')
    proto.graph.initializer.extend(numpy_helper.from_array(array, name) for name, array in weights.items())
    side = Side.of(from_proto(proto).model)
    wanted = [value.name for value in proto.graph.output]
    return [run_precisely(side, side.nodes, feeds, wanted, until=float("inf"))[name] for name in wanted]


@pytest.fixture
def in_blocks(monkeypatch):
    """Everything counts as large, and is cut into many blocks."""
    monkeypatch.setattr(run, "SMALLEST", 1)
    monkeypatch.setattr(narrow, "_BLOCK", 24)
    monkeypatch.setattr(kernels, "_UNFOLDED", 50)
    monkeypatch.setattr(kernels, "_BLOCK", 7)


@pytest.fixture(scope="module")
def onnx_cases():
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of onnx's own making
        return [case for case in collect_testcases(None) if "expanded" not in case.name]


@pytest.mark.parametrize("operator", sorted({*narrow.KERNELS, *narrow.MOVES, "Conv", "ConvTranspose", "Erf", "Gelu"}))
def test_blocks_agree_with_onnxs_own_cases(onnx_cases, operator, in_blocks):
    shown = 0
    for case in onnx_cases:
        if [node.op_type for node in case.model.graph.node] != [operator]:
            continue
        feeds, outputs = case.data_sets[0]
        if not all(isinstance(array, np.ndarray) for array in (*feeds, *outputs)):
            continue
        proto = onnx.ModelProto()
        proto.CopyFrom(case.model)
        names = [value.name for value in proto.graph.input]
        proto.graph.initializer.extend(numpy_helper.from_array(a, n) for n, a in zip(names, feeds, strict=True))
        del proto.graph.input[:]
        side = Side.of(from_proto(proto).model)
        wanted = [value.name for value in proto.graph.output]
        try:
            found = run_precisely(side, side.nodes, {}, wanted, until=float("inf"))
        except NoReference:
            continue
        shown += 1
        for name, expected in zip(wanted, outputs, strict=True):
            assert found[name].shape == expected.shape
            np.testing.assert_allclose(found[name], expected, rtol=2e-6, atol=2e-6, err_msg=case.name)
            if expected.dtype.kind == "f":
                assert found[name].dtype == np.float64
    assert shown


def test_products_with_blocks_of_a_matrix(in_blocks):
    a, b, c, x = weight(3, 40), weight(40, 5), weight(5), weight(2, 3, 40)
    text = """g (float[2, 3, 40] x) => (float[M] p, float[M] q, float[M] r, float[M] s) {
        p = MatMul(x, b)  q = Gemm<alpha = 0.5, beta = 2.0, transB = 1>(a, t, c)  r = MatMul(v, b)
        u = Transpose<perm = [1, 0]>(t)  s = MatMul(x, u) }"""
    p, q, r, s = reference(text, {"x": x}, a=a, b=b, c=c, t=np.ascontiguousarray(b.T), v=a[0])
    wide_a, wide_b = a.astype(np.float64), b.astype(np.float64)
    np.testing.assert_allclose(p, x.astype(np.float64) @ wide_b, rtol=1e-14, atol=1e-14)
    np.testing.assert_allclose(q, 0.5 * wide_a @ wide_b + 2.0 * c, rtol=1e-14, atol=1e-14)
    np.testing.assert_allclose(r, wide_a[0] @ wide_b, rtol=1e-14, atol=1e-14)
    np.testing.assert_allclose(s, p, rtol=1e-14, atol=1e-14)


def test_moved_weights_are_exact_and_wide_in_the_end(in_blocks):
    table = weight(30, 8, dtype=np.float16)
    text = """g (int64[N] i) => (float16[N, 8] y, float16[N, M] z) <int64[2] s = {8, 30}> {
        y = Gather(table, i)  r = Reshape(table, s)  z = Identity(r) }"""
    y, z = reference(text, {"i": np.array([0, -1, 29])}, table=table)
    assert (y.dtype, z.dtype) == (np.float64, np.float64)
    assert np.array_equal(y, table[[0, 29, 29]].astype(np.float64))
    assert np.array_equal(z, table.reshape(8, 30).astype(np.float64))


def test_products_of_many_matrices_are_widened_as_a_whole(in_blocks):
    a, b = weight(2, 3, 4), weight(2, 4, 5)
    (y,) = reference("g () => (float[2, 3, 5] y) { y = MatMul(a, b) }", {}, a=a, b=b)
    np.testing.assert_allclose(y, a.astype(np.float64) @ b.astype(np.float64), rtol=1e-14)


def test_no_weight_is_held_in_float64():
    """A tied embedding of 16 MB: read as a table at the start, as a matrix at the end; and a layer in between."""
    weights = {"table": weight(16384, 256), "up": weight(256, 4096), "down": weight(4096, 256)}
    text = """g (int64[N] i) => (float[N, 16384] y) {
        x = Gather(table, i)  h = MatMul(x, up)  r = Relu(h)  d = MatMul(r, down)
        t = Transpose<perm = [1, 0]>(table)  y = MatMul(d, t) }"""
    proto = onnx.parser.parse_model(f'<ir_version: 9, opset_import: ["" : 18]> {text}')
    proto.graph.initializer.extend(numpy_helper.from_array(array, name) for name, array in weights.items())
    side = Side.of(from_proto(proto).model)
    tracemalloc.start()
    run_precisely(side, side.nodes, {"i": np.array([1, 2])}, ["y"], until=float("inf"))
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 2 * weights["table"].nbytes  # one block of it in float64, and what onnx-ir makes of the message
