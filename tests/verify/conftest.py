import onnx
import pytest
from onnx import parser

from ncgopt.runtime.process import Worker
from ncgopt.settings import VerifySettings
from ncgopt.verify import verify


@pytest.fixture(scope="session")
def worker():
    """One child process for all tests; they only fear each other's crashes, after which it starts anew."""
    with Worker() as worker:
        yield worker


@pytest.fixture
def write(tmp_path):
    """Write a model given as onnx text (the graph alone is enough) and return its path."""

    def write(text, name="original", opset=18):
        if not text.lstrip().startswith("<"):
            text = f'<ir_version: 9, opset_import: ["" : {opset}, "com.microsoft" : 1, "odd" : 1]> {text}'
        path = tmp_path / f"{name}.onnx"
        onnx.save(parser.parse_model(text), path)
        return path

    return write


@pytest.fixture
def check(write, worker):
    """Verify one text against another (or itself)."""

    def check(original, result=None, opset=18, **settings):
        settings.setdefault("timeout", 120.0)
        left = write(original, "original", opset)
        right = write(original if result is None else result, "result", opset)
        return verify(left, right, VerifySettings(**settings), worker=worker)

    return check
