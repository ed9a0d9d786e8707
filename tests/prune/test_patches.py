import numpy as np
import onnx
import onnxruntime as ort
import pytest

from ncgopt.prune.patches import Window, patches

CASES = {
    "plain": ((3, 3), (1, 1), (1, 1), (0, 0, 0, 0), "NOTSET", 1),
    "padded": ((3, 3), (1, 1), (1, 1), (1, 2, 0, 1), "NOTSET", 1),
    "stride": ((3, 2), (2, 3), (1, 1), (1, 1, 1, 1), "NOTSET", 1),
    "dilated": ((2, 3), (1, 2), (2, 2), (0, 0, 1, 1), "NOTSET", 1),
    "groups": ((3, 3), (1, 1), (1, 1), (1, 1, 1, 1), "NOTSET", 2),
    "depthwise": ((3, 3), (2, 2), (1, 1), (1, 1, 1, 1), "NOTSET", 4),
    "same upper": ((3, 2), (2, 2), (1, 1), None, "SAME_UPPER", 1),
    "same lower": ((2, 2), (2, 1), (1, 1), None, "SAME_LOWER", 1),
    "valid": ((2, 2), (1, 1), (1, 1), None, "VALID", 1),
}


@pytest.mark.parametrize("name", CASES)
def test_kernel_times_patches_is_the_convolution(name):
    kernel, strides, dilations, pads, auto_pad, groups = CASES[name]
    rng = np.random.default_rng(0)
    x = rng.standard_normal((2, 4, 9, 8)).astype(np.float32)
    weight = rng.standard_normal((8, 4 // groups, *kernel)).astype(np.float32)
    attributes = {"strides": strides, "dilations": dilations, "group": groups, "auto_pad": auto_pad}
    if pads is not None:
        attributes["pads"] = pads
    node = onnx.helper.make_node("Conv", ["x", "w"], ["y"], **attributes)
    graph = onnx.helper.make_graph(
        [node],
        "g",
        [onnx.helper.make_tensor_value_info("x", 1, x.shape)],
        [onnx.helper.make_tensor_value_info("y", 1, None)],
        [onnx.numpy_helper.from_array(weight, "w")],
    )
    model = onnx.helper.make_model(graph, opset_imports=[onnx.helper.make_opsetid("", 17)], ir_version=8)
    expected = ort.InferenceSession(model.SerializeToString()).run(None, {"x": x})[0]
    rows = np.concatenate(list(patches(x, Window(kernel, strides, dilations, pads, auto_pad), groups)), axis=1)
    found = rows @ weight.reshape(groups, 8 // groups, -1).transpose(0, 2, 1)
    found = found.reshape(groups, 2, *expected.shape[2:], 8 // groups).transpose(1, 0, 4, 2, 3).reshape(expected.shape)
    np.testing.assert_allclose(found, expected, atol=1e-4)
