"""What tests of checks share: models written in a line, and what one check says of them."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import onnx
import pytest

from ncgopt.lint.finding import Finding
from ncgopt.lint.run import examine
from ncgopt.lint.settings import CheckSettings
from ncgopt.settings import Settings

HEAD = '<ir_version: 10, opset_import: ["" : 21]>'


@pytest.fixture
def made(tmp_path: Path) -> Callable[..., Path]:
    """A model from text, with weights by name, written to a file."""

    def make(text: str, name: str = "m.onnx", **weights: np.ndarray) -> Path:
        model = onnx.parser.parse_model(text if text.startswith("<") else f"{HEAD} {text}")
        model.graph.initializer.extend(onnx.numpy_helper.from_array(array, key) for key, array in weights.items())
        onnx.save(model, tmp_path / name)
        return tmp_path / name

    return make


@pytest.fixture
def found() -> Callable[..., list[Finding]]:
    """What one check finds in a file."""

    def find(check: str, path: Path, **budget: object) -> list[Finding]:
        settings = Settings(check=CheckSettings(select=(check,), **budget))  # pyright: ignore[reportArgumentType]
        return list(examine(path, settings)[0].findings)

    return find
