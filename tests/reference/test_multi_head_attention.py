"""Our MultiHeadAttention against ONNX Runtime's."""

from __future__ import annotations

import pytest

from reference.test_reference import assert_agree

MULTI_HEAD_ATTENTION = """<ir_version: 10, opset_import: ["" : 21, "com.microsoft" : 1]>
g (float[2, 5, 12] x, float[{key}] k, float[{value}] v, float[{bias}] b) => (float[2, 5, M] y)
{{ y = com.microsoft.MultiHeadAttention<num_heads = 3{scale}>(x, k, v, , , b) }}"""


@pytest.mark.parametrize("operands", [("2, 7, 12", "2, 7, 12"), ("2, 7, 12", "2, 7, 18"), ("2, 3, 7, 4", "2, 3, 7, 4")])
@pytest.mark.parametrize("bias", ["2, 3, 5, 7", "1, 3, 5, 7", "2, 1, 5, 7", "1, 1, 5, 7"])
@pytest.mark.parametrize("scale", ["", ", scale = 0.3"])
def test_multi_head_attention(operands, bias, scale):
    key, value = operands
    assert_agree(MULTI_HEAD_ATTENTION.format(key=key, value=value, bias=bias, scale=scale))
