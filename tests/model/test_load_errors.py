"""One clear line for every file that is no usable model."""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper

from ncgopt.errors import InputUnreadable, ModelInvalid
from ncgopt.model import from_proto, load, to_proto


def small() -> onnx.ModelProto:
    x, y = (helper.make_tensor_value_info(name, TensorProto.FLOAT, [3]) for name in "xy")
    weight = numpy_helper.from_array(np.arange(3, dtype=np.float32), "w")
    graph = helper.make_graph([helper.make_node("Add", ["x", "w"], ["y"])], "g", [x], [y], [weight])
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 21)], ir_version=10)


UNREADABLE = {
    "empty": (b"", "is empty"),
    "text": (b"ir_version: 8\ngraph { node { op_type: 'Add' } }\n", "truncated or no ONNX file"),
    "json": (b'{"irVersion": "8", "graph": {}}', "truncated or no ONNX file"),
    "zip": (b"PK\x03\x04\x14\x00\x00\x00\x08\x00 and so on", "truncated or no ONNX file"),
    "zeros": (bytes(100), "truncated or no ONNX file"),
    "truncated": (small().SerializeToString()[:-7], "truncated or no ONNX file"),
    "only the beginning": (onnx.ModelProto(ir_version=8).SerializeToString(), "no graph"),
    "git lfs": (b"version https://git-lfs.github.com/spec/v1\noid sha256:0\nsize 5\n", "Git LFS pointer"),
}


@pytest.mark.parametrize("name", UNREADABLE)
def test_unreadable(tmp_path: Path, name: str) -> None:
    content, reason = UNREADABLE[name]
    path = tmp_path / "m.onnx"
    path.write_bytes(content)
    with pytest.raises(InputUnreadable) as caught:
        load(path)
    assert reason in str(caught.value)
    assert str(path) in str(caught.value)
    assert "\n" not in str(caught.value)


def test_missing_and_directory(tmp_path: Path) -> None:
    with pytest.raises(InputUnreadable, match="No such file"):
        load(tmp_path / "m.onnx")
    with pytest.raises(InputUnreadable, match="is a directory"):
        load(tmp_path)


@pytest.mark.skipif(os.name != "posix" or os.geteuid() == 0, reason="root may read everything")
def test_forbidden(tmp_path: Path) -> None:
    path = tmp_path / "m.onnx"
    onnx.save(small(), path)
    path.chmod(0)
    with pytest.raises(InputUnreadable, match="Permission denied"):
        load(path)


def test_graph_without_content(tmp_path: Path) -> None:
    path = tmp_path / "m.onnx"
    path.write_bytes(onnx.ModelProto(ir_version=8, graph=onnx.GraphProto()).SerializeToString())
    with pytest.raises(ModelInvalid, match="the graph is empty"):
        load(path)


def tensor(dtype: int, dims: list[int], **data: object) -> onnx.TensorProto:
    return onnx.TensorProto(name="w", data_type=dtype, dims=dims, **data)


BAD_TENSORS = {
    "too few bytes": (tensor(1, [3], raw_data=bytes(8)), "8 bytes, but its shape and type take 12"),
    "too many bytes": (tensor(1, [3], raw_data=bytes(16)), "16 bytes"),
    "too few numbers": (tensor(1, [3], float_data=[1, 2]), "2 elements, but its shape and type take 3"),
    "numbers in the wrong field": (tensor(1, [1], double_data=[1]), "0 elements"),
    "no data": (tensor(7, [3]), "0 elements"),
    "half a complex number": (tensor(14, [1], float_data=[1]), "1 elements, but its shape and type take 2"),
    "unpacked four-bit numbers": (
        tensor(22, [4], int32_data=[1, 2, 3, 4]),
        "4 elements, but its shape and type take 2",
    ),
    "too few strings": (tensor(8, [2], string_data=[b"a"]), "1 elements"),
    "negative dimension": (tensor(1, [-1], float_data=[1]), "negative dimension"),
    "no data type": (tensor(0, [0]), "unknown data type 0"),
    "new data type": (tensor(99, [0]), "unknown data type 99"),
}


@pytest.mark.parametrize("name", BAD_TENSORS)
def test_tensor_that_contradicts_itself(name: str) -> None:
    proto, reason = BAD_TENSORS[name]
    model = small()
    model.graph.initializer[0].CopyFrom(proto)
    with pytest.raises(ModelInvalid) as caught:
        from_proto(model)
    assert "initializer 'w'" in str(caught.value)
    assert reason in str(caught.value)


@pytest.mark.parametrize("dtype", [t for t in TensorProto.DataType.values() if t not in {0, TensorProto.STRING}])
@pytest.mark.parametrize("raw", [True, False])
def test_every_data_type(dtype: int, raw: bool) -> None:
    """Sizes are judged right for each type, in either form, and values come out the same."""
    other = 2 if dtype == TensorProto.FLOAT8E8M0 else 0  # that type holds powers of two and no zero
    numbers = helper.make_tensor("w", dtype, [5], [1, other, 1, 1, other])
    if raw:
        array = numpy_helper.to_array(numbers)
        numbers = numpy_helper.from_array(array, "w")
        assert numbers.data_type == dtype
    model = small()
    model.graph.initializer[0].CopyFrom(numbers)
    loaded = from_proto(model).model
    found = loaded.graph.initializers["w"].const_value
    assert found is not None
    np.testing.assert_array_equal(found.numpy().real.astype(np.float32), [1, other, 1, 1, other])
    assert to_proto(loaded) == model


BAD_SPARSE = {
    "index too large": ([1.0], np.array([3]), [3], "outside of its shape"),
    "negative index": ([1.0], np.array([-1]), [3], "outside of its shape"),
    "coordinate too large": ([1.0], np.array([[0, 3]]), [2, 3], "outside of its shape"),
    "too few indices": ([1.0, 2.0], np.array([0]), [3], "2 values, but indices of shape [1]"),
    "wrong rank": ([1.0], np.array([[0]]), [2, 3], "indices of shape [1, 1]"),
    "indices no integers": ([1.0], np.array([0.0]), [3], "indices of shape"),
}


@pytest.mark.parametrize("name", BAD_SPARSE)
def test_sparse_tensor_that_contradicts_itself(name: str) -> None:
    values, indices, dims, reason = BAD_SPARSE[name]
    model = small()
    model.graph.sparse_initializer.add(
        values=numpy_helper.from_array(np.array(values, np.float32), "s"),
        indices=numpy_helper.from_array(indices),
        dims=dims,
    )
    with pytest.raises(ModelInvalid) as caught:
        from_proto(model)
    assert reason in str(caught.value)


@pytest.mark.parametrize("indices", [np.array([1, 5]), np.array([[0, 1], [1, 2]])])
def test_sparse_tensor_is_dense_to_its_readers(indices: np.ndarray) -> None:
    model = small()
    values = numpy_helper.from_array(np.array([4, 9], np.float32), "s")
    model.graph.sparse_initializer.add(values=values, indices=numpy_helper.from_array(indices), dims=[2, 3])
    found = from_proto(model).model.graph.initializers["s"].const_value
    assert found is not None
    np.testing.assert_array_equal(found.numpy(), [[0, 4, 0], [0, 0, 9]])
    assert found.tobytes() == found.numpy().tobytes()
