"""Weights go from file to file, and what is written is what protobuf would have written."""

from __future__ import annotations

import hashlib
import io
import os
from pathlib import Path

import numpy as np
import onnx
import onnx_ir as ir
import onnxruntime
import pytest
from onnx import TensorProto, helper, numpy_helper

from ncgopt.errors import CannotWrite
from ncgopt.model import load, messages, save, write_beside
from ncgopt.model.layout import Layout
from ncgopt.model.stream import Output

SIZES = {"huge": (600, 1024), "big": (64, 64), "small": (4,)}


def model(path: Path, *, external: bool, producer: str = "") -> Path:
    """A model whose weights are chained by MatMul; one more lies in a branch."""
    rng = np.random.default_rng(0)
    tensors = [numpy_helper.from_array(rng.standard_normal(s).astype(np.float32), n) for n, s in SIZES.items()]
    inner = numpy_helper.from_array(rng.standard_normal(2048).astype(np.float32), "inner")
    u = helper.make_tensor_value_info("u", TensorProto.FLOAT, [2048])
    branch = helper.make_graph([helper.make_node("Neg", ["k"], ["u"])], "b", [], [u], [inner])
    branch.node.insert(0, helper.make_node("Constant", [], ["k"], value=inner))
    x, c = (
        helper.make_tensor_value_info(*given) for given in (("x", TensorProto.FLOAT, [1, 600]), ("c", TensorProto.BOOL, []))
    )  # fmt: skip
    outputs = [helper.make_tensor_value_info(n, TensorProto.FLOAT, s) for n, s in (("y", [1, 1024]), ("z", [2048]))]
    outputs += [
        helper.make_tensor_value_info(n, TensorProto.FLOAT, SIZES[m]) for n, m in (("p", "big"), ("q", "small"))
    ]
    nodes = [
        helper.make_node("MatMul", ["x", "huge"], ["y"]),
        helper.make_node("If", ["c"], ["z"], then_branch=branch, else_branch=branch),
        helper.make_node("Neg", ["big"], ["p"]),
        helper.make_node("Neg", ["small"], ["q"]),
    ]
    graph = helper.make_graph(nodes, "g", [x, c], outputs, tensors)
    proto = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8, producer_name=producer)
    onnx.save(proto, path, save_as_external_data=external, location=f"{path.name}.w", size_threshold=64)
    return path


def run(path: Path) -> list[np.ndarray]:
    session = onnxruntime.InferenceSession(str(path), providers=["CPUExecutionProvider"])
    return session.run(None, {"x": np.ones((1, 600), np.float32), "c": np.array(True)})


def same(left: Path, right: Path) -> None:
    for a, b in zip(run(left), run(right), strict=True):
        np.testing.assert_array_equal(a, b)


@pytest.mark.parametrize("producer", ["", "x", "xx", "xxx"])
def test_a_file_of_its_own_has_the_bytes_that_protobuf_writes(tmp_path: Path, producer: str):
    source = model(tmp_path / "a.onnx", external=False, producer=producer)
    saved = save(load(source).model, tmp_path / "b.onnx")
    expected = messages.encode(onnx.load(source))
    assert (tmp_path / "b.onnx").read_bytes() == expected
    assert saved.bytes == len(expected)
    assert [file.sha256 for file in saved.files] == [hashlib.sha256(expected).hexdigest()]


@pytest.mark.parametrize("external", [False, True])
def test_the_manifest_of_external_data(tmp_path: Path, external: bool):
    source = model(tmp_path / "a.onnx", external=external)
    for target in (tmp_path / "b.onnx", source):
        loaded = load(source)
        saved = save(loaded.model, target, external_data="always", replaces=source if target == source else None)
        for file in saved.files:
            content = Path(file.path).read_bytes()
            assert (file.bytes, file.sha256) == (len(content), hashlib.sha256(content).hexdigest())
        same(target, target)


def test_data_that_stay_in_place_are_not_written_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    source = model(tmp_path / "a.onnx", external=False)
    save(load(source).model, tmp_path / "b.onnx", external_data="always")
    data = tmp_path / "b.onnx.data"
    before = data.stat()
    monkeypatch.setattr(Layout, "write", lambda *_: pytest.fail("the data were written"))
    loaded = load(tmp_path / "b.onnx")
    loaded.model.doc_string = "changed"
    saved = save(loaded.model, tmp_path / "b.onnx", external_data="always", replaces=tmp_path / "b.onnx")
    assert [Path(file.path).name for file in saved.files] == ["b.onnx", "b.onnx.data"]
    assert (data.stat().st_ino, data.stat().st_mtime_ns) == (before.st_ino, before.st_mtime_ns)


@pytest.mark.parametrize("external", [False, True])
@pytest.mark.parametrize("links", [True, False])
def test_beside_in_a_folder_of_passing_files(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, external: bool, links: bool
):
    source = model(tmp_path / "a.onnx", external=external)
    (tmp_path / "t").mkdir()
    if not links:

        def refuse(*_: object) -> None:
            raise OSError(18, "Invalid cross-device link")

        monkeypatch.setattr(os, "link", refuse)
    loaded = load(source).model
    loaded.graph.initializers["big"].const_value = ir.tensor(np.ones(SIZES["big"], np.float32))
    for _ in range(2):  # the second one replaces the first one's files
        write_beside(loaded, tmp_path / "t" / "r.onnx", links=True)
    save(loaded, tmp_path / "b.onnx")
    same(tmp_path / "t" / "r.onnx", tmp_path / "b.onnx")
    linked = [path for path in (tmp_path / "t").iterdir() if path.stat().st_nlink > 1]
    assert len(linked) <= int(links)
    assert bool(linked) >= (links and external)


def test_without_help_of_the_system(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    """Copying ranges is Linux's, and not for every pair of file systems."""
    source = model(tmp_path / "a.onnx", external=False)
    write_beside(load(source).model, tmp_path / "b.onnx")

    def refuse(*_: object) -> int:
        raise OSError(18, "Invalid cross-device link")

    for name, replacement in (("c.onnx", refuse), ("d.onnx", lambda *_: 0), ("e.onnx", None)):
        monkeypatch.setattr(os, "copy_file_range", replacement, raising=False)
        write_beside(load(source).model, tmp_path / name)
        assert (tmp_path / f"{name}.data").read_bytes() == (tmp_path / "b.onnx.data").read_bytes()
        same(tmp_path / name, source)


def test_a_source_that_changed_is_named_and_nothing_is_written(tmp_path: Path):
    source = model(tmp_path / "a.onnx", external=False)
    loaded = load(source).model
    with source.open("ab") as file:
        file.write(b"x")
    for write in (save, write_beside):
        with pytest.raises(CannotWrite, match=r"b\.onnx.*changed.*a\.onnx"):
            write(loaded, tmp_path / "b.onnx")
    with pytest.raises(CannotWrite, match="changed"):
        save(loaded, tmp_path / "c.onnx")
    assert not (tmp_path / "c.onnx").exists()


@pytest.mark.parametrize("system", [True, False])
def test_the_same_bytes_hashed_or_not(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, system: bool):
    if not system:
        monkeypatch.setattr(os, "copy_file_range", lambda *_: 0, raising=False)
    source = model(tmp_path / "a.onnx", external=True)
    tensor = load(source).model.graph.initializers["huge"].const_value
    for hashed in (True, False):
        with (tmp_path / "out").open("wb") as file:
            output = Output(file, hashed=hashed)
            output.write(b"abc")
            output.copy(tensor)
            output.write(b"def")
        expected = b"abc" + tensor.tobytes() + b"def"
        assert (tmp_path / "out").read_bytes() == expected
        if hashed:
            assert output.sha256 == hashlib.sha256(expected).hexdigest()
        assert output.position == 6 + 600 * 4096
    with pytest.raises(ValueError, match="not hashed"):
        _ = Output(io.BytesIO(), hashed=False).sha256
