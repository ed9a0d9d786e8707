"""Our RotaryEmbedding against ONNX Runtime's."""

from __future__ import annotations

import numpy as np
import onnx
import pytest
from semantics import run_ort, run_reference

TEXT = """<ir_version: 10, opset_import: ["" : 21, "com.microsoft" : 1]>
g (float[2, 3, 5, 8] x, int64[{positions}] p, float[9, 4] c, float[9, 4] s) => (float[2, 3, 5, 8] y)
{{ y = com.microsoft.RotaryEmbedding(x, p, c, s) }}"""


@pytest.mark.parametrize("shape", [(1,), (2, 5)])
def test_rotary_embedding(shape):
    model = onnx.parser.parse_model(TEXT.format(positions=", ".join(map(str, shape))))
    rng = np.random.default_rng(0)
    feeds = {
        "x": rng.standard_normal((2, 3, 5, 8)).astype(np.float32),
        "p": rng.integers(0, 4, shape),
        "c": rng.standard_normal((9, 4)).astype(np.float32),
        "s": rng.standard_normal((9, 4)).astype(np.float32),
    }
    np.testing.assert_allclose(run_reference(model, feeds)[0], run_ort(model, feeds)[0], rtol=1e-5, atol=1e-6)
