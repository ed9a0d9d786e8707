"""Whether ONNX Runtime takes external data behind hard links, as it did up to 1.32 at least."""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np
import onnx
from onnx import TensorProto, helper

from ncgopt.runtime.session import LoadError, open_session

_WEIGHT = np.zeros(4096, np.float32)


def accepted(folder: Path) -> bool:
    """Try it with a small model in `folder`; False as well where the file system has no hard links."""
    data, link, model = folder / "probe.data", folder / "probe.link", folder / "probe.onnx"
    tensor = onnx.TensorProto(
        name="w", data_type=TensorProto.FLOAT, dims=_WEIGHT.shape, data_location=TensorProto.EXTERNAL
    )
    for key, value in (("location", link.name), ("offset", "0"), ("length", str(_WEIGHT.nbytes))):
        tensor.external_data.add(key=key, value=value)
    output = helper.make_tensor_value_info("y", TensorProto.FLOAT, _WEIGHT.shape)
    graph = helper.make_graph([helper.make_node("Neg", ["w"], ["y"])], "probe", [], [output], [tensor])
    proto = helper.make_model(graph, ir_version=8, opset_imports=[helper.make_opsetid("", 13)])
    try:
        data.write_bytes(_WEIGHT.tobytes())
        os.link(data, link)
        model.write_bytes(proto.SerializeToString())
        open_session(model, optimize=False)
    except (OSError, NotImplementedError, LoadError):
        return False
    finally:
        for path in (data, link, model):
            path.unlink(missing_ok=True)
    return True
