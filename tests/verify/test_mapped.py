"""Models that ONNX Runtime maps: the same message over the same bytes, in a form that takes less memory."""

import numpy as np
import onnx
import pytest
from onnx import numpy_helper

from ncgopt.errors import InputUnreadable
from ncgopt.runtime.session import open_session
from ncgopt.verify import mapped
from ncgopt.verify.mapped import MappedModels
from ncgopt.verify.outline import read_outline, tensors_of

RNG = np.random.default_rng(5)
TEXT = """<ir_version: 9, opset_import: ["" : 18]>
g (bool c, float[64] x) => (float[64] y, float[64] z, float[64] k)
<float[1] small = {2}> {
    y = If(c) <then_branch = t () => (float[64] p) { p = MatMul(x, inner) },
               else_branch = e () => (float[64] q) { q = Mul(x, small) }>
    z = MatMul(x, large)
    k = Add(x, odd)
}"""
X = RNG.standard_normal(64).astype(np.float32)


def weight(*shape):
    return RNG.standard_normal(shape).astype(np.float32)


@pytest.fixture
def models(monkeypatch):
    monkeypatch.setattr(mapped, "SMALLEST", 1 << 13)
    models = MappedModels()
    yield models
    models.close()


@pytest.fixture
def model(tmp_path):
    """Large weights in the main graph and in a subgraph, at odd places of the file; one in a field of its type."""
    model = onnx.parser.parse_model(TEXT)
    model.graph.initializer.append(numpy_helper.from_array(weight(64, 64), "large"))
    model.graph.initializer.append(onnx.helper.make_tensor("odd", 1, [64], weight(64)))
    model.graph.node[0].attribute[0].g.initializer.append(numpy_helper.from_array(weight(64, 64), "inner"))
    path = tmp_path / "model.onnx"
    onnx.save(model, path)
    return path


def test_the_copy_is_the_same_model_over_weights_beside_it(models, model):
    copy = models.path_of(model)
    assert copy != model
    assert models.path_of(model) == copy
    slim = onnx.load(copy, load_external_data=False)
    outside = [tensor.name for tensor in tensors_of(slim) if tensor.external_data]
    assert outside == ["large"]
    assert {entry.key: entry.value for entry in slim.graph.initializer[1].external_data}["offset"] == "0"
    whole = onnx.load(copy)
    for tensor in tensors_of(whole):
        tensor.ClearField("data_location")
        del tensor.external_data[:]
    assert whole == onnx.load(model)


def test_it_computes_the_same_bits(models, model):
    feeds = {"c": np.array(True), "x": X}
    for optimize in (False, True):
        sides = [open_session(path, optimize=optimize).run(feeds) for path in (model, models.path_of(model))]
        assert all(a.tobytes() == b.tobytes() for a, b in zip(*sides, strict=True))


def test_files_go_when_it_is_closed(models, model):
    copy = models.path_of(model)
    models.close()
    assert not copy.parent.exists()
    assert models.path_of(model).exists()


def test_a_file_that_changed_is_written_anew(models, model):
    copy = models.path_of(model)
    other = onnx.load(model)
    other.graph.initializer.append(numpy_helper.from_array(weight(64, 64), "unused"))
    onnx.save(other, model)
    assert models.path_of(model) != copy


def test_what_would_gain_nothing_stays_as_it_is(models, model, tmp_path):
    external = tmp_path / "external.onnx"
    onnx.save(onnx.load(model), external, save_as_external_data=True, location="w.bin", size_threshold=0)
    assert models.path_of(external) == external
    tiny = tmp_path / "tiny.onnx"
    onnx.save(onnx.parser.parse_model("<ir_version: 9, opset_import: ['' : 18]> g (float[2] x) => () { y = Neg(x) }"
                                      .replace("'", '"')), tiny)  # fmt: skip
    assert models.path_of(tiny) == tiny


def test_a_tensor_that_contradicts_itself_is_left_to_onnx_runtime(models, model):
    wrong = onnx.load(model)
    wrong.graph.initializer[1].dims[0] = 65
    wrong.graph.initializer.append(numpy_helper.from_array(weight(64, 64), "unused"))
    onnx.save(wrong, model)
    slim = onnx.load(models.path_of(model), load_external_data=False)
    assert [tensor.name for tensor in tensors_of(slim) if tensor.external_data] == ["unused"]


def test_an_outline_says_where_everything_is(model):
    outline, whole = read_outline(model), onnx.load(model)
    for slim, tensor in zip(tensors_of(outline.proto), tensors_of(whole), strict=True):
        assert np.array_equal(outline.array(slim), numpy_helper.to_array(tensor))
        outline.fill(slim)
    assert outline.is_understood
    assert outline.proto == whole


def test_a_file_that_changed_since_is_not_read(model):
    outline = read_outline(model)
    model.write_bytes(model.read_bytes() + b"\0")
    with pytest.raises(InputUnreadable, match="changed"):
        outline.fill(next(tensor for tensor in tensors_of(outline.proto) if outline.place(tensor)))


@pytest.mark.parametrize("content", [b"", b"\xff" * 5000])
def test_what_is_no_model_is_not_read(tmp_path, content):
    path = tmp_path / "none.onnx"
    path.write_bytes(content)
    with pytest.raises(InputUnreadable):
        read_outline(path)
    with pytest.raises(InputUnreadable):
        read_outline(tmp_path / "missing.onnx")


@pytest.mark.parametrize("location", ["../w.bin", "w.bin"])
def test_external_data_are_read_inside_of_the_folder_only(model, tmp_path, location):
    folder = tmp_path / "inner"
    folder.mkdir()
    onnx.save(onnx.load(model), folder / "m.onnx", save_as_external_data=True, location="w.bin", size_threshold=0)
    moved = onnx.load(folder / "m.onnx", load_external_data=False)
    outside = next(tensor for tensor in moved.graph.initializer if tensor.external_data)
    outside.external_data[0].value = location
    (tmp_path / "w.bin").write_bytes((folder / "w.bin").read_bytes())
    onnx.save(moved, folder / "m.onnx")
    outline = read_outline(folder / "m.onnx")
    found = next(tensor for tensor in outline.proto.graph.initializer if tensor.external_data)
    if location == "w.bin":
        before = {t.name: numpy_helper.to_array(t) for t in onnx.load(model).graph.initializer}
        assert np.array_equal(outline.array(found), before[found.name])
        return
    with pytest.raises(InputUnreadable, match="outside"):
        outline.array(found)
