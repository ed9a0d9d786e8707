"""Fixtures: a command line that runs in this process, and small models."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import onnx
import pytest

from ncgopt_cli.main import invoke

DENSE = """
<ir_version: 10, opset_import: ["" : 21]>
g (float[N, 4] x) => (float[N, 4] y) {
    unused = Identity(x)
    same = Identity(x)
    product = MatMul(same, w)
    y = Relu(product)
}
"""


@dataclass(frozen=True)
class Outcome:
    code: int
    out: str
    err: str


@pytest.fixture
def ncgopt(capfd: pytest.CaptureFixture[str]) -> Callable[..., Outcome]:
    """Run one command line; what it wrote is in the outcome, native code's output included."""

    def run(*arguments: object) -> Outcome:
        code = invoke([str(argument) for argument in arguments])
        captured = capfd.readouterr()
        return Outcome(code, captured.out, captured.err)

    return run


@pytest.fixture(autouse=True)
def _in_an_empty_folder(
    tmp_path: Path, tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch
) -> None:
    """No settings file of the developer's own is found, and no cache."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path_factory.mktemp("cache")))
    (tmp_path / ".git").mkdir()


@pytest.fixture
def dense(tmp_path: Path) -> Path:
    """A model that `optimize` finds something to do on."""
    model = onnx.parser.parse_model(DENSE)
    weight = np.arange(16, dtype=np.float32).reshape(4, 4)
    model.graph.initializer.append(onnx.numpy_helper.from_array(weight, "w"))
    path = tmp_path / "dense.onnx"
    onnx.save(model, path)
    return path
