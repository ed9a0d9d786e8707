"""Large weights stay in their file, wherever in a model they are; and odd files read as protobuf reads them."""

from __future__ import annotations

from pathlib import Path

import ml_dtypes
import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper

from ncgopt.errors import InputUnreadable
from ncgopt.model import load, messages, to_proto, wire
from ncgopt.model.ondisk import FileTensor

BIG = np.arange(1 << 11, dtype=np.float32)
HUGE = np.arange(1 << 19, dtype=np.float32)


def tensor(name: str, array: np.ndarray = BIG) -> onnx.TensorProto:
    return numpy_helper.from_array(array, name)


def sparse(name: str) -> onnx.SparseTensorProto:
    return helper.make_sparse_tensor(tensor(name), tensor(f"{name}_at", np.arange(BIG.size)), [BIG.size])


def constant(name: str) -> onnx.NodeProto:
    return helper.make_node("Constant", [], [name], value=tensor(name))


def everywhere() -> onnx.ModelProto:
    """Large tensors in every place that can have one."""
    x, y = (helper.make_tensor_value_info(n, TensorProto.FLOAT, [BIG.size]) for n in "xy")
    u = helper.make_tensor_value_info("u", TensorProto.FLOAT, [BIG.size])
    flag = helper.make_tensor_value_info("c", TensorProto.BOOL, [])
    branch = helper.make_graph(
        [constant("k"), helper.make_node("Sum", ["x", "k", "inner"], ["u"])], "b", [], [u], [tensor("inner")]
    )
    custom = helper.make_node("Custom", ["x"], ["made"], domain="test.custom")
    custom.attribute.extend(
        [
            helper.make_attribute("tensors", [tensor("t0"), tensor("t1")]),
            helper.make_attribute("sparse", sparse("s")),
            helper.make_attribute("sparses", [sparse("s0")]),
            helper.make_attribute("graphs", [branch]),
        ]
    )
    nodes = [
        helper.make_node("If", ["c"], ["h"], then_branch=branch, else_branch=branch),
        helper.make_node("f", ["h"], ["called"], domain="local"),
        helper.make_node("Sum", ["called", "w", "loose", "h"], ["y"]),
        custom,
    ]
    function = helper.make_function(
        "local", "f", ["a"], ["b"], [constant("in_f"), helper.make_node("Mul", ["a", "in_f"], ["b"])],
        [helper.make_opsetid("", 17)], attribute_protos=[helper.make_attribute("default", tensor("d"))],
    )  # fmt: skip
    graph = helper.make_graph(
        nodes, "g", [flag, x], [y], [tensor("w"), tensor("huge", HUGE)], sparse_initializer=[sparse("loose")]
    )
    opsets = [helper.make_opsetid(*pair) for pair in (("", 17), ("local", 1), ("test.custom", 1))]
    return helper.make_model(graph, functions=[function], opset_imports=opsets, ir_version=9)


def put(path: Path, model: onnx.ModelProto, extra: bytes = b"") -> Path:
    path.write_bytes(model.SerializeToString() + extra)
    return path


def weight(path: Path, name: str = "w") -> object:
    return load(path).model.graph.initializers[name].const_value


def simple(*tensors: onnx.TensorProto) -> onnx.ModelProto:
    x, y = (helper.make_tensor_value_info(n, TensorProto.FLOAT, [BIG.size]) for n in "xy")
    graph = helper.make_graph([helper.make_node("Identity", ["x"], ["y"])], "g", [x], [y], tensors)
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=9)


def test_no_large_weight_is_parsed_and_none_is_lost(tmp_path: Path):
    path = put(tmp_path / "m.onnx", everywhere())
    outline, places = wire.parse(path)
    assert outline.ByteSize() < 4096
    assert places.count == 18  # 2 in each of 3 branches, 2 in each of 3 sparse tensors, t0, t1, in_f, d, w, huge
    loaded = load(path)
    assert messages.encode(to_proto(loaded.model)) == messages.encode(everywhere())
    for found in (weight(path), weight(path, "huge")):
        assert isinstance(found, FileTensor)
        np.testing.assert_array_equal(found.numpy(), np.arange(found.size))
        assert found.tobytes() == found.numpy().tobytes()
        assert not found.numpy().flags.writeable


def test_weights_in_memory_outlive_their_file(tmp_path: Path):
    path = put(tmp_path / "m.onnx", everywhere())
    loaded = load(path, in_memory=True)
    path.unlink()
    assert messages.encode(to_proto(loaded.model)) == messages.encode(everywhere())


@pytest.mark.parametrize("shift", range(4))
def test_a_view_where_it_is_aligned_and_a_copy_where_not(tmp_path: Path, shift: int):
    model = simple(tensor("w", HUGE))
    model.producer_name = "x" * shift
    found = weight(put(tmp_path / "m.onnx", model))
    assert isinstance(found, FileTensor)
    array = found.numpy()
    assert array.flags.aligned
    assert array.base is not None or found.offset % 4
    np.testing.assert_array_equal(array, HUGE)
    anywhere = found.view()
    assert anywhere.base is not None
    assert anywhere.flags.aligned == (found.offset % 4 == 0)
    np.testing.assert_array_equal(anywhere, HUGE)


@pytest.mark.parametrize(
    "array",
    [
        np.arange(4096).astype(ml_dtypes.bfloat16),
        np.arange(9000).astype(np.int8).reshape(3, 3000),
        (np.arange(16384) % 16 - 8).astype(ml_dtypes.int4).reshape(2, -1),
        np.arange(9001).astype(ml_dtypes.uint4),
        np.arange(2048).astype(np.complex64) * 1j,
        np.arange(9000) % 3 == 0,
    ],
    ids=lambda array: str(array.dtype),
)
def test_element_types(tmp_path: Path, array: np.ndarray):
    found = weight(put(tmp_path / "m.onnx", simple(tensor("w", array))))
    assert isinstance(found, FileTensor)
    assert found.numpy().dtype == array.dtype
    np.testing.assert_array_equal(found.numpy().astype(np.complex64), array.astype(np.complex64))


def test_typed_fields_are_read_as_before(tmp_path: Path):
    typed = helper.make_tensor("w", TensorProto.FLOAT, [BIG.size], BIG.tolist())
    path = put(tmp_path / "m.onnx", simple(typed))
    assert not isinstance(weight(path), FileTensor)
    assert messages.encode(to_proto(load(path).model)) == messages.encode(simple(typed))


class TestOddFiles:
    """What the walk leaves to protobuf, or must read as protobuf does."""

    def same(self, path: Path) -> onnx.ModelProto:
        whole = onnx.load(path)
        assert messages.encode(to_proto(load(path).model)) == messages.encode(whole)
        return whole

    def test_a_graph_in_two_parts(self, tmp_path: Path):
        """Messages that occur twice are merged, and repeated fields go on where they stopped."""
        second = onnx.ModelProto()
        second.graph.initializer.append(tensor("v", BIG + 1))
        path = put(tmp_path / "m.onnx", simple(tensor("w")), second.SerializePartialToString())
        assert len(self.same(path).graph.initializer) == 2
        assert isinstance(weight(path, "v"), FileTensor)

    def test_raw_data_twice_in_one_tensor(self, tmp_path: Path):
        """The last one counts, large or small."""
        for last in (BIG + 1, BIG[:4]):
            twice = b"".join(TensorProto(raw_data=part.tobytes()).SerializeToString() for part in (BIG, last))
            bare = TensorProto(name="w", data_type=TensorProto.FLOAT, dims=[last.size])
            path = tmp_path / f"{last.size}.onnx"
            path.write_bytes(with_bytes_in_its_initializer(simple(bare), twice))
            assert self.same(path).graph.initializer[0].raw_data == last.tobytes()

    def test_a_tensor_in_an_attribute_of_another_type(self, tmp_path: Path):
        """Nobody reads it, and it is still there afterwards."""
        model = simple(tensor("w"))
        odd = model.graph.node[0].attribute.add(name="a", type=onnx.AttributeProto.INT, i=3)
        odd.t.CopyFrom(tensor("hidden"))
        model.graph.node[0].domain = "test.custom"
        model.opset_import.add(domain="test.custom", version=1)
        self.same(put(tmp_path / "m.onnx", model))

    def test_raw_data_beside_typed_data(self, tmp_path: Path):
        model = simple(tensor("w"))
        model.graph.initializer[0].float_data.append(1.0)
        self.same(put(tmp_path / "m.onnx", model))

    def test_a_group(self, tmp_path: Path):
        """Tags 1003 start and 1003 end: ONNX has no groups, protobuf keeps them as unknown."""
        group = wire.varint(1003 << 3 | 3) + b"\x08\x01" + wire.varint(1003 << 3 | 4)
        self.same(put(tmp_path / "m.onnx", simple(tensor("w")), group))

    def test_unknown_fields_of_every_kind(self, tmp_path: Path):
        fields = bytes.fromhex("c03e01d53e01020304d93e0102030405060708ca3e03616263")
        self.same(put(tmp_path / "m.onnx", simple(tensor("w")), fields))

    def test_bytes_that_look_like_a_placeholder(self, tmp_path: Path):
        path = put(tmp_path / "m.onnx", simple(tensor("w"), tensor("v", np.arange(8, dtype=np.float32))))
        assert len(load(path).model.graph.initializers["v"].const_value.tobytes()) == 32
        self.same(path)

    @pytest.mark.parametrize("cut", [1, 4000, 9000])
    def test_a_truncated_file(self, tmp_path: Path, cut: int):
        path = put(tmp_path / "m.onnx", simple(tensor("w")))
        path.write_bytes(path.read_bytes()[:-cut])
        with pytest.raises(InputUnreadable, match="truncated"):
            load(path)


def with_bytes_in_its_initializer(model: onnx.ModelProto, content: bytes) -> bytes:
    """The model in wire format, with `content` added to its only initializer as it is."""
    inner = model.graph.initializer[0].SerializeToString() + content
    del model.graph.initializer[:]
    body = model.graph.SerializeToString() + b"\x2a" + wire.varint(len(inner)) + inner
    model.ClearField("graph")
    return model.SerializeToString() + b"\x3a" + wire.varint(len(body)) + body


@pytest.mark.parametrize("what", ["written to", "replaced", "gone"])
def test_a_file_that_does_not_stay_as_it_was(tmp_path: Path, what: str):
    path = put(tmp_path / "m.onnx", simple(tensor("w"), tensor("huge", HUGE)))
    found = [weight(path), weight(path, "huge")]
    if what == "written to":
        with path.open("ab") as file:
            file.write(b"x")
    elif what == "replaced":
        put(tmp_path / "n.onnx", simple(tensor("w"), tensor("huge", HUGE))).replace(path)
    else:
        path.unlink()
    for item in found:
        assert isinstance(item, FileTensor)
        with pytest.raises(InputUnreadable, match=r"m\.onnx"):
            item.numpy()
        with pytest.raises(InputUnreadable, match=r"m\.onnx"):
            item.tobytes()
