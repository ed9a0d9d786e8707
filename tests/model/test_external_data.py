"""Where weights in other files may lie, and what is said where they do not."""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper

from ncgopt.errors import InputUnreadable, ModelInvalid
from ncgopt.model import load, save

WEIGHT = np.array([1, 2, 3], np.float32)


def external(location: str, *, offset: int = 0, length: int = 12, name: str = "w") -> onnx.TensorProto:
    tensor = TensorProto(name=name, data_type=TensorProto.FLOAT, dims=[3], data_location=TensorProto.EXTERNAL)
    for key, value in (("location", location), ("offset", str(offset)), ("length", str(length))):
        tensor.external_data.add(key=key, value=value)
    return tensor


def write(path: Path, tensor: onnx.TensorProto, data: bytes | None = WEIGHT.tobytes()) -> Path:
    """A model that adds `tensor`, and its data file `w.bin` beside it unless `data` is None."""
    x, y = (helper.make_tensor_value_info(n, TensorProto.FLOAT, [3]) for n in "xy")
    graph = helper.make_graph([helper.make_node("Add", ["x", "w"], ["y"])], "g", [x], [y], [tensor])
    path.write_bytes(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)]).SerializeToString())
    if data is not None:
        (path.parent / "w.bin").write_bytes(data)
    return path


def weight_of(path: Path, **options: bool) -> np.ndarray:
    tensor = load(path, **options).model.graph.initializers["w"].const_value
    assert tensor is not None
    return tensor.numpy()


def test_found_beside_the_model_wherever_we_are(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    write(tmp_path / "m.onnx", external("w.bin"))
    monkeypatch.chdir(tmp_path)
    np.testing.assert_array_equal(weight_of(Path("m.onnx")), WEIGHT)
    loaded = load("m.onnx")
    monkeypatch.chdir("/")
    assert loaded.external
    np.testing.assert_array_equal(loaded.model.graph.initializers["w"].const_value.numpy(), WEIGHT)


@pytest.mark.parametrize(
    ("tensor", "data", "reason"),
    [
        (external("w.bin"), None, "cannot be read: No such file"),
        (external("w.bin"), b"12345678", "has only 8 bytes"),
        (external("w.bin", offset=4), WEIGHT.tobytes(), "has only 12 bytes"),
        (external("../w.bin"), None, "outside of the model's folder"),
        (external("sub/../../w.bin"), None, "outside of the model's folder"),
        (external("/etc/passwd"), None, "absolute path"),
        (external("C:\\w.bin"), None, "absolute path"),
        (external(""), None, "without a valid location"),
        (external("."), None, "no regular file"),
    ],
)
def test_refused(tmp_path: Path, tensor: onnx.TensorProto, data: bytes | None, reason: str):
    path = write(tmp_path / "m.onnx", tensor, data)
    with pytest.raises(InputUnreadable) as caught:
        load(path)
    assert reason in str(caught.value)
    assert "'w'" in str(caught.value)
    assert "\n" not in str(caught.value)


def test_length_that_does_not_fit_the_shape(tmp_path: Path):
    path = write(tmp_path / "m.onnx", external("w.bin", length=8))
    with pytest.raises(ModelInvalid, match=r"'w'.*8 bytes"):
        load(path)


@pytest.mark.skipif(os.name != "posix", reason="links need rights on Windows")
class TestLinks:
    def test_a_link_that_leaves_the_folder(self, tmp_path: Path):
        (tmp_path / "secret.bin").write_bytes(WEIGHT.tobytes())
        (tmp_path / "models").mkdir()
        path = write(tmp_path / "models" / "m.onnx", external("w.bin"), None)
        (tmp_path / "models" / "w.bin").symlink_to(tmp_path / "secret.bin")
        with pytest.raises(InputUnreadable, match="--trust-links"):
            load(path)
        np.testing.assert_array_equal(weight_of(path, trust_links=True), WEIGHT)

    def test_a_link_inside_the_folder(self, tmp_path: Path):
        path = write(tmp_path / "m.onnx", external("link.bin"))
        (tmp_path / "link.bin").symlink_to("w.bin")
        np.testing.assert_array_equal(weight_of(path), WEIGHT)

    def test_hugging_face_cache(self, tmp_path: Path):
        """Every file of a snapshot is a link into a folder of blobs, named by their hashes."""
        snapshot, blobs = tmp_path / "snapshots" / "abc", tmp_path / "blobs"
        snapshot.mkdir(parents=True)
        blobs.mkdir()
        write(blobs / "m.onnx", external("m.onnx_data"), None).rename(blobs / "0f1e")
        (blobs / "2d3c").write_bytes(WEIGHT.tobytes())
        (snapshot / "m.onnx").symlink_to("../../blobs/0f1e")
        (snapshot / "m.onnx_data").symlink_to("../../blobs/2d3c")
        with pytest.raises(InputUnreadable, match="--trust-links"):
            load(snapshot / "m.onnx")
        np.testing.assert_array_equal(weight_of(snapshot / "m.onnx", trust_links=True), WEIGHT)

    def test_a_hard_link_is_a_file_like_any_other(self, tmp_path: Path):
        path = write(tmp_path / "m.onnx", external("hard.bin"))
        os.link(tmp_path / "w.bin", tmp_path / "hard.bin")
        np.testing.assert_array_equal(weight_of(path), WEIGHT)


def test_in_subgraphs_and_functions(tmp_path: Path):
    def constant(name: str) -> onnx.NodeProto:
        node = helper.make_node("Constant", [], [name])
        attribute = node.attribute.add(name="value", type=onnx.AttributeProto.TENSOR)
        attribute.t.CopyFrom(external("w.bin", name=name))
        return node

    x, y, u = (helper.make_tensor_value_info(n, TensorProto.FLOAT, [3]) for n in "xyu")
    branch = helper.make_graph([constant("k"), helper.make_node("Add", ["x", "k"], ["u"])], "b", [], [u])
    flag = helper.make_tensor_value_info("c", TensorProto.BOOL, [])
    nodes = [
        helper.make_node("If", ["c"], ["h"], then_branch=branch, else_branch=branch),
        helper.make_node("f", ["h"], ["y"], domain="local"),
    ]
    function = helper.make_function(
        "local", "f", ["a"], ["b"], [constant("c"), helper.make_node("Mul", ["a", "c"], ["b"])],
        [helper.make_opsetid("", 17)],
    )  # fmt: skip
    proto = helper.make_model(
        helper.make_graph(nodes, "g", [flag, x], [y]), functions=[function],
        opset_imports=[helper.make_opsetid("", 17), helper.make_opsetid("local", 1)],
    )  # fmt: skip
    path = tmp_path / "m.onnx"
    path.write_bytes(proto.SerializeToString())
    with pytest.raises(InputUnreadable, match=r"w\.bin"):
        load(path)
    (tmp_path / "w.bin").write_bytes(WEIGHT.tobytes())
    loaded = load(path)
    assert loaded.external
    save(loaded.model, tmp_path / "n.onnx", external_data="never")
    again = load(tmp_path / "n.onnx")
    assert not again.external
    inner = [n for n in again.model.functions["local", "f", ""] if n.op_type == "Constant"]
    np.testing.assert_array_equal(inner[0].attributes["value"].as_tensor().numpy(), WEIGHT)
