"""What lies on the disk after saving, and after saving went wrong."""

from __future__ import annotations

import os
import stat
from pathlib import Path

import numpy as np
import onnx
import onnx_ir as ir
import onnxruntime
import pytest
from onnx import TensorProto, helper, numpy_helper

from ncgopt.errors import CannotWrite
from ncgopt.model import load, save
from ncgopt.model import save as save_function

save_module = __import__("sys").modules["ncgopt.model.save"]


def make(path: Path, *, external: bool, seed: int = 0) -> Path:
    """A model with weights of 2 MiB, 8 KiB and 12 bytes."""
    rng = np.random.default_rng(seed)
    weights = {"big": (512, 1024), "middle": (1024, 2), "small": (3,)}
    tensors = [numpy_helper.from_array(rng.standard_normal(s).astype(np.float32), n) for n, s in weights.items()]
    x = helper.make_tensor_value_info("x", TensorProto.FLOAT, [1, 512])
    y = helper.make_tensor_value_info("y", TensorProto.FLOAT, [1, 2])
    z = helper.make_tensor_value_info("z", TensorProto.FLOAT, [3])
    nodes = [
        helper.make_node("MatMul", ["x", "big"], ["h"]),
        helper.make_node("MatMul", ["h", "middle"], ["y"]),
        helper.make_node("Neg", ["small"], ["z"]),
    ]
    graph = helper.make_graph(nodes, "g", [x], [y, z], tensors)
    proto = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
    onnx.save(proto, path, save_as_external_data=external, location=f"{path.name}.weights", size_threshold=0)
    return path


def run(path: Path) -> list[np.ndarray]:
    session = onnxruntime.InferenceSession(str(path), providers=["CPUExecutionProvider"])
    return session.run(None, {"x": np.ones((1, 512), np.float32)})


def write(path: Path, target: Path, **options: object) -> tuple[Path, ...]:
    loaded = load(path)
    in_place = path if path == target else None
    return save(loaded.model, target, input_external=loaded.external, replaces=in_place, **options).paths


def names(folder: Path) -> set[str]:
    return {p.name for p in folder.iterdir()}


def locations(path: Path) -> dict[str, tuple[str, int]]:
    found = {}
    for tensor in onnx.load(path, load_external_data=False).graph.initializer:
        if tensor.data_location == TensorProto.EXTERNAL:
            entries = {e.key: e.value for e in tensor.external_data}
            found[tensor.name] = entries["location"], int(entries.get("offset", 0))
    return found


@pytest.mark.parametrize("external", [False, True])
def test_auto_follows_the_input(tmp_path: Path, external: bool):
    source = make(tmp_path / "a.onnx", external=external)
    written = write(source, tmp_path / "b.onnx")
    assert [p.name for p in written] == (["b.onnx", "b.onnx.data"] if external else ["b.onnx"])
    for expected, found in zip(run(source), run(tmp_path / "b.onnx"), strict=True):
        np.testing.assert_array_equal(expected, found)


def test_layouts_that_are_asked_for(tmp_path: Path):
    source = make(tmp_path / "a.onnx", external=False)
    write(source, tmp_path / "b.onnx", external_data="always")
    found = locations(tmp_path / "b.onnx")
    assert set(found) == {"big", "middle"}  # the small one stays where shapes can be read
    assert found["big"][1] % 4096 == 0
    write(tmp_path / "b.onnx", tmp_path / "c.onnx", external_data="never")
    assert (tmp_path / "c.onnx").read_bytes() == write(source, tmp_path / "d.onnx")[0].read_bytes()


def test_a_model_too_large_for_one_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    source = make(tmp_path / "a.onnx", external=False)
    monkeypatch.setattr(save_module, "LARGEST_FILE", 1 << 20)
    assert len(write(source, tmp_path / "b.onnx")) == 2
    with pytest.raises(CannotWrite, match="2 GiB"):
        write(source, tmp_path / "c.onnx", external_data="never")
    assert "c.onnx" not in names(tmp_path)


@pytest.mark.parametrize("external", [False, True])
def test_three_runs_give_the_same_bytes(tmp_path: Path, external: bool):
    source = make(tmp_path / "a.onnx", external=external)
    seen = []
    for _ in range(3):
        write(source, tmp_path / "b.onnx")
        seen.append({p.name: p.read_bytes() for p in tmp_path.iterdir()})
    assert seen[0] == seen[1] == seen[2]
    expected = run(source)
    contents = []
    for _ in range(3):
        write(source, source)
        contents.append({p.name: p.read_bytes() for p in tmp_path.iterdir()})
        np.testing.assert_array_equal(run(source)[0], expected[0])
    assert contents[0] == contents[1] == contents[2]


def test_in_place_leaves_no_old_weights(tmp_path: Path):
    source = make(tmp_path / "a.onnx", external=True)
    expected = run(source)
    write(source, source)
    assert names(tmp_path) == {"a.onnx", "a.onnx.data"}
    np.testing.assert_array_equal(run(source)[0], expected[0])


def test_weights_that_another_model_uses_stay(tmp_path: Path):
    source = make(tmp_path / "a.onnx", external=True)
    (tmp_path / "other.onnx").write_bytes(source.read_bytes())
    write(source, source)
    assert names(tmp_path) == {"a.onnx", "a.onnx.data", "a.onnx.weights", "other.onnx"}
    run(tmp_path / "other.onnx")


def test_the_inputs_own_weights_stay_when_an_output_is_replaced(tmp_path: Path):
    """`b.onnx` shares its data file with the input; replacing `b.onnx` must not take it away."""
    source = make(tmp_path / "a.onnx", external=True)
    (tmp_path / "b.onnx").write_bytes(source.read_bytes())
    source.rename(tmp_path / "folder-of-its-own.bin")  # no .onnx file mentions the data file now but b.onnx
    write(tmp_path / "folder-of-its-own.bin", tmp_path / "b.onnx")
    assert (tmp_path / "a.onnx.weights").exists()


def test_a_name_that_is_taken_is_not_overwritten(tmp_path: Path):
    source = make(tmp_path / "a.onnx", external=True)
    (tmp_path / "b.onnx.data").write_text("a letter to my aunt")
    written = write(source, tmp_path / "b.onnx")
    assert (tmp_path / "b.onnx.data").read_text() == "a letter to my aunt"
    assert written[1].name.startswith("b.onnx.")
    assert written[1].name != "b.onnx.data"
    run(tmp_path / "b.onnx")


def test_a_shared_tensor_is_stored_once(tmp_path: Path):
    source = make(tmp_path / "a.onnx", external=False)
    loaded = load(source)
    graph = loaded.model.graph
    twin = ir.Value(name="twin", const_value=graph.initializers["big"].const_value)
    graph.register_initializer(twin)
    saved = save_function(loaded.model, tmp_path / "b.onnx", external_data="always")
    assert saved.bytes < 2.2 * (1 << 20)
    found = locations(tmp_path / "b.onnx")
    assert found["twin"] == found["big"]


@pytest.mark.skipif(os.name != "posix", reason="file modes are POSIX")
def test_file_modes(tmp_path: Path):
    source = make(tmp_path / "a.onnx", external=True)
    before = os.umask(0o027)
    try:
        written = write(source, tmp_path / "b.onnx")
    finally:
        os.umask(before)
    assert [stat.S_IMODE(p.stat().st_mode) for p in written] == [0o640, 0o640]
    (tmp_path / "b.onnx").chmod(0o604)
    write(source, tmp_path / "b.onnx")
    assert stat.S_IMODE((tmp_path / "b.onnx").stat().st_mode) == 0o604


@pytest.mark.skipif(os.name != "posix", reason="links need rights on Windows")
def test_a_link_is_replaced_and_what_it_points_to_stays(tmp_path: Path):
    source = make(tmp_path / "a.onnx", external=False)
    treasure = tmp_path / "treasure.onnx"
    treasure.write_bytes(b"precious")
    (tmp_path / "b.onnx").symlink_to(treasure)
    write(source, tmp_path / "b.onnx")
    assert treasure.read_bytes() == b"precious"
    assert not (tmp_path / "b.onnx").is_symlink()


@pytest.mark.parametrize(("external", "nth"), [(False, 1), (True, 1), (True, 2)])
@pytest.mark.parametrize("failing", ["replace", "fsync"])
def test_whatever_fails_nothing_is_lost(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, external: bool, failing: str, nth: int
):
    """One file is synced and renamed for the model, and one before it for its weights if they are external."""
    source = make(tmp_path / "a.onnx", external=external)
    write(make(tmp_path / "other.onnx", external=external, seed=1), tmp_path / "b.onnx")
    before = {p.name: p.read_bytes() for p in tmp_path.iterdir()}
    calls, real = 0, getattr(os, failing)

    def fail(first: int | Path, *rest: Path) -> None:
        nonlocal calls
        of_a_folder = isinstance(first, int) and not stat.S_ISREG(os.fstat(first).st_mode)
        calls += not of_a_folder
        if calls == nth:
            raise OSError(28, "No space left on device")
        real(first, *rest)

    monkeypatch.setattr(os, failing, fail)
    with pytest.raises(CannotWrite, match="No space left"):
        write(source, tmp_path / "b.onnx")
    monkeypatch.undo()
    assert {p.name: p.read_bytes() for p in tmp_path.iterdir()} == before


def test_targets_that_cannot_be(tmp_path: Path):
    source = make(tmp_path / "a.onnx", external=False)
    (tmp_path / "folder.onnx").mkdir()
    for target in (tmp_path / "nowhere" / "b.onnx", tmp_path / "folder.onnx"):
        with pytest.raises(CannotWrite, match=target.name):
            write(source, target)
    assert names(tmp_path) == {"a.onnx", "folder.onnx"}
