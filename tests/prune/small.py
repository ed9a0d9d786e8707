"""Small models for pruning, in ONNX's text format, with weights drawn by shape."""

import numpy as np
import onnx
import onnx.parser
from onnx import numpy_helper


def build(text, seed=0, **shapes):
    """A model from text; `name=shape` makes a float initializer, an array is taken as it is."""
    rng = np.random.default_rng(seed)
    model = onnx.parser.parse_model(text)
    for name, shape in shapes.items():
        array = shape
        if not isinstance(shape, np.ndarray):
            fan = int(np.prod(shape[1:])) or 1
            array = (rng.standard_normal(shape) / np.sqrt(fan)).astype(np.float32)
        model.graph.initializer.append(numpy_helper.from_array(array, name))
    for index, node in enumerate(model.graph.node):
        node.name = node.name or f"{node.op_type}_{index}"
    onnx.checker.check_model(model, full_check=True)
    return model


def head(inputs, outputs, opset=17):
    return f'<ir_version: 8, opset_import: ["" : {opset}]>\ng ({inputs}) => ({outputs})'


RESIDUAL = build(
    head("float[N, 3, 8, 8] x", "float[N, 5] y")
    + """{
    a = Conv <pads = [1, 1, 1, 1]> (x, w1, b1)
    b = Relu(a)
    c = Conv <pads = [1, 1, 1, 1]> (b, w2, b2)
    d = BatchNormalization(c, scale, shift, mean, variance)
    e = Add(d, b)
    f = Relu(e)
    p = GlobalAveragePool(f)
    q = Flatten(p)
    y = Gemm <transB = 1> (q, w3, b3)
}""",
    w1=(16, 3, 3, 3),
    b1=(16,),
    w2=(16, 16, 3, 3),
    b2=(16,),
    scale=np.linspace(0.5, 1.5, 16, dtype=np.float32),
    shift=(16,),
    mean=(16,),
    variance=np.linspace(0.5, 2, 16, dtype=np.float32),
    w3=(5, 16),
    b3=(5,),
)

MLP = build(
    head("float[N, 12] x", "float[N, 4] y")
    + "{ a = Gemm <transB = 1> (x, w1, b1)  b = Relu(a)  c = MatMul(b, w2)  d = Add(c, b2)  e = Relu(d)  y = MatMul(e, w3) }",
    w1=(32, 12),
    b1=(32,),
    w2=(32, 24),
    b2=(24,),
    w3=(24, 4),
)
