"""Which operator sets the installed ONNX Runtime takes."""

from __future__ import annotations

import onnx

from ncgopt.runtime.session import LoadError, open_session


def accepts(opset: int, ir_version: int) -> bool:
    """Whether ONNX Runtime loads a model of that version of the default operator set and that IR version."""
    node = onnx.helper.make_node("Identity", ["x"], ["y"])
    x, y = (onnx.helper.make_tensor_value_info(name, onnx.TensorProto.FLOAT, [1]) for name in ("x", "y"))
    model = onnx.helper.make_model(onnx.helper.make_graph([node], "g", [x], [y]))
    model.ir_version = ir_version
    model.opset_import[0].version = opset
    try:
        open_session(model.SerializeToString(), optimize=False)
    except LoadError:
        return False
    return True
