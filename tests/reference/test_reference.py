"""Our reference implementations against ONNX Runtime: they are the second opinion, so they must be right."""

from __future__ import annotations

import numpy as np
import onnx
import pytest
from semantics import run_ort, run_reference

from reference.fused_conv import ACTIVATIONS as CONV_ACTIVATIONS
from reference.fused_gemm import ACTIVATIONS

CONV_TRANSPOSE = """<ir_version: 10, opset_import: ["" : 21]>
g (float[2, 4, 3] x, float[4, 3, 2] w, float[6] b) => (float[2, 6, M] y)
{{ y = ConvTranspose<group = 2, strides = [2], output_padding = [1]>(x, w{bias}) }}"""
BATCH_NORM = """<ir_version: 8, opset_import: ["" : {opset}]>
g (float[2, 3, 2] x, float[3] s, float[3] o, float[3] m, float[3] v) => (float[2, 3, 2] y)
{{ y = BatchNormalization<epsilon = 0.5>(x, s, o, m, v) }}"""
FUSED_GEMM = """<ir_version: 10, opset_import: ["" : 21, "com.microsoft" : 1]>
g (float[2, 5] x, float[3, 2] w, float[3] b) => (float[5, 3] y)
{{ y = com.microsoft.FusedGemm<activation = "{activation}", activation_alpha = 0.5, activation_beta = 0.25,
       alpha = 2.0, beta = -1.0, transA = 1, transB = 1>(x, w, b) }}"""
FUSED_CONV = """<ir_version: 10, opset_import: ["" : 21, "com.microsoft" : 1]>
g (float[2, 4, 9, 9] x, float[6, 2, 3, 3] w, float[6] b, float[2, 6, 5, 5] z) => (float[2, 6, 5, 5] y)
{{ y = com.microsoft.FusedConv<{activation}group = 2, pads = [1, 1, 1, 1], strides = [2, 2]>(x, w, b{z}) }}"""
PARAMETERS = {"LeakyRelu": "0.5", "HardSigmoid": "0.25, 0.5", "Clip": "-0.5, 0.75"}
SKIP = """<ir_version: 10, opset_import: ["" : 21, "com.microsoft" : 1]>
g (float[2, 3, 8] x, float[2, 3, 8] s, float[8] w, float[8] b) => (float[2, 3, 8] y)
{{ y = com.microsoft.{operator}<epsilon = 0.01>(x, s, w{bias}) }}"""
FUSED_MATMUL = """<ir_version: 10, opset_import: ["" : 21, "com.microsoft" : 1]>
g (float[{a}] x, float[{b}] w) => (float[2, 3, 4] y) {{ y = com.microsoft.FusedMatMul<alpha = 0.5{flags}>(x, w) }}"""
GELU = """<ir_version: 10, opset_import: ["" : 21, "com.microsoft" : 1]>
g (float[3, 40] x) => (float[3, 40] y) {{ y = com.microsoft.{operator}(x) }}"""

NORMALIZATION = """<ir_version: 8, opset_import: ["" : 12]>
g (float[3, 2, 4] x, float[{sizes}] s, float[{sizes}] b) => (float[3, 2, 4] y)
{{ y = {operator}<axis = {axis}, epsilon = 0.25>(x, s{bias}) }}"""

INTEGER_MATMUL = """<ir_version: 10, opset_import: ["" : 21, "com.microsoft" : 1]>
g (float[7, 5] x, int8[5, 3] b, float[3] sb, int8[3] zb, float[3] c) => (float[7, 3] y)
{{ {product}}}"""
INTEGER_PRODUCTS = {
    "float": "y = com.microsoft.DynamicQuantizeMatMul(x, b, sb{zero}{bias})",
    "integer": "a, s, z = DynamicQuantizeLinear(x)  y = com.microsoft.MatMulIntegerToFloat(a, b, s, sb, z{zero}{bias})",
}


def draw(rng: np.random.Generator, kind: int, shape: list[int]) -> np.ndarray:
    """Floats in [0.1, 2); integers so small that no kernel's 16-bit sums of two products saturate."""
    dtype = onnx.helper.tensor_dtype_to_np_dtype(kind)
    return (rng.uniform(0.1, 2, shape) if dtype.kind == "f" else rng.integers(0, 60, shape)).astype(dtype)


def assert_agree(text: str) -> None:
    model = onnx.parser.parse_model(text)
    rng = np.random.default_rng(0)
    feeds = {
        v.name: draw(rng, v.type.tensor_type.elem_type, [d.dim_value for d in v.type.tensor_type.shape.dim])
        for v in model.graph.input
    }
    feeds["x"] -= 1
    np.testing.assert_allclose(run_reference(model, feeds)[0], run_ort(model, feeds)[0], rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("bias", ["", ", b"])
def test_conv_transpose_with_groups(bias):
    assert_agree(CONV_TRANSPOSE.format(bias=bias))


@pytest.mark.parametrize("opset", [7, 9, 13, 14, 15])
def test_batch_normalization_in_inference(opset):
    assert_agree(BATCH_NORM.format(opset=opset))


@pytest.mark.parametrize("activation", ACTIVATIONS)
def test_fused_gemm(activation):
    assert_agree(FUSED_GEMM.format(activation=activation))


@pytest.mark.parametrize("z", ["", ", z"])
@pytest.mark.parametrize("activation", [None, *CONV_ACTIVATIONS])
def test_fused_conv(activation, z):
    attribute = f'activation = "{activation}", ' if activation else ""
    if activation in PARAMETERS:
        attribute += f"activation_params = [{PARAMETERS[activation]}], "
    assert_agree(FUSED_CONV.format(activation=attribute, z=z))


@pytest.mark.parametrize("operator", ["SkipLayerNormalization", "SkipSimplifiedLayerNormalization"])
def test_normalization_of_a_sum(operator):
    assert_agree(SKIP.format(operator=operator, bias="" if "Simplified" in operator else ", b"))


@pytest.mark.parametrize("flags", ["", ", transA = 1", ", transB = 1", ", transA = 1, transB = 1"])
def test_fused_matmul(flags):
    sizes = ("2, 5, 3" if "transA" in flags else "2, 3, 5"), ("2, 4, 5" if "transB" in flags else "2, 5, 4")
    assert_agree(FUSED_MATMUL.format(a=sizes[0], b=sizes[1], flags=flags))


@pytest.mark.parametrize("attribute", ["", "<alpha = 1.0>", "<alpha = -0.5>"])
def test_quick_gelu(attribute):
    assert_agree(GELU.format(operator=f"QuickGelu{attribute}"))


@pytest.mark.parametrize("operator", ["BiasGelu", "FastGelu"])
def test_gelu_with_bias(operator):
    assert_agree(GELU.replace("x)", "x, float[40] b)", 1).replace("(x)", "(x, b)").format(operator=operator))


@pytest.mark.parametrize("operator", ["Gelu", "FastGelu"])
def test_gelu(operator):
    assert_agree(GELU.format(operator=operator))


@pytest.mark.parametrize("bias", ["", ", c"])
@pytest.mark.parametrize("zero", [', ""', ", zb"])
@pytest.mark.parametrize("product", INTEGER_PRODUCTS.values(), ids=INTEGER_PRODUCTS)
def test_integer_matmul(product, zero, bias):
    assert_agree(INTEGER_MATMUL.format(product=product.format(zero=zero, bias=bias)))


@pytest.mark.parametrize(("axis", "sizes"), [(-1, "4"), (1, "2, 4")])
@pytest.mark.parametrize(
    ("operator", "bias"),
    [("LayerNormalization", ""), ("LayerNormalization", ", b"), ("SimplifiedLayerNormalization", "")],
)
def test_normalization(operator, bias, axis, sizes):
    assert_agree(NORMALIZATION.format(operator=operator, bias=bias, axis=axis, sizes=sizes))
