"""New weights that wait in a file."""

from __future__ import annotations

import errno
import gc
import os
from pathlib import Path

import ml_dtypes
import numpy as np
import onnx_ir as ir
import pytest

from ncgopt.errors import CannotWrite
from ncgopt.model import load, save, scratch
from ncgopt.model.ondisk import FileTensor
from ncgopt.model.scratch import Scratch

LARGE = np.arange(1 << 15, dtype=np.float32).reshape(128, -1)


def test_beyond_the_budget_they_are_in_the_file():
    waiting = Scratch(budget=LARGE.nbytes)
    kept = [waiting.keep(ir.tensor(LARGE + step, name=f"w{step}")) for step in range(3)]
    assert [isinstance(tensor, FileTensor) for tensor in kept] == [False, True, True]
    for step, tensor in enumerate(kept):
        assert (tensor.name, tensor.dtype, tuple(tensor.shape.numpy())) == (f"w{step}", ir.DataType.FLOAT, LARGE.shape)
        np.testing.assert_array_equal(tensor.numpy(), LARGE + step)
        assert tensor.tobytes() == (LARGE + step).tobytes()
    assert waiting.keep(kept[1]) is kept[1]


@pytest.mark.parametrize("array", [LARGE[:, :100], LARGE.T, LARGE.astype(ml_dtypes.bfloat16), LARGE > 3])
def test_whatever_the_array_is(array: np.ndarray):
    tensor = Scratch(budget=0).keep(ir.Tensor(np.repeat(array, 8, 0)))
    assert isinstance(tensor, FileTensor)
    np.testing.assert_array_equal(tensor.numpy(), np.repeat(array, 8, 0))


def test_what_stays_in_memory():
    small = ir.tensor(np.ones(10, np.float32))
    packed = ir.Tensor(np.zeros(1 << 20, ml_dtypes.int4))
    words = ir.StringTensor([b"x" * 1000] * 1000, shape=ir.Shape((1000,)))
    for tensor in (small, packed, words):
        assert Scratch(budget=0).keep(tensor) is tensor


@pytest.mark.parametrize("external", ["always", "never"])
def test_saved_like_any_other(tmp_path: Path, external: str):
    waiting = Scratch(budget=0)
    x = ir.Value(name="x", type=ir.TensorType(ir.DataType.FLOAT), shape=ir.Shape(LARGE.shape))
    weight = ir.Value(name="w", const_value=waiting.keep(ir.tensor(LARGE, name="w")))
    node = ir.Node("", "Add", [x, weight], num_outputs=1)
    node.outputs[0].name, node.outputs[0].type, node.outputs[0].shape = "y", x.type, x.shape
    graph = ir.Graph([x], node.outputs, nodes=[node], initializers=[weight], opset_imports={"": 17}, name="g")
    del waiting
    save(ir.Model(graph, ir_version=9), tmp_path / "m.onnx", external_data=external)
    found = load(tmp_path / "m.onnx").model.graph.initializers["w"].const_value
    np.testing.assert_array_equal(found.numpy(), LARGE)


@pytest.mark.skipif(not Path("/proc/self/fd").is_dir(), reason="counts descriptors as Linux shows them")
def test_the_file_goes_with_the_last_tensor():
    def temporary() -> int:
        links = Path("/proc/self/fd").iterdir()
        return sum("(deleted)" in os.readlink(link) for link in links if link.is_symlink())

    gc.collect()
    before = temporary()
    tensor = Scratch(budget=0).keep(ir.tensor(LARGE))
    assert temporary() == before + 1
    del tensor
    gc.collect()
    assert temporary() == before


def test_no_space_left(monkeypatch: pytest.MonkeyPatch):
    def full(*_: object) -> int:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(scratch._ScratchFile, "append", full)
    with pytest.raises(CannotWrite, match="No space left"):
        Scratch(budget=0).keep(ir.tensor(LARGE))
