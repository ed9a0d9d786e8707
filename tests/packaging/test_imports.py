"""Starting up is cheap: nothing heavy is loaded before it is needed."""

import re
import subprocess
import sys

import pytest

HEAVY = ("onnx", "onnx_ir", "onnxruntime", "onnxsim", "sympy")
RUN = "import sys; sys.argv = ['ncgopt', *sys.argv[1:]]; from ncgopt_cli.main import run; run()"


def _imported(code: str, *arguments: str) -> set[str]:
    """Top-level packages that a fresh interpreter imports on the way."""
    command = [sys.executable, "-X", "importtime", "-c", code, *arguments]
    done = subprocess.run(command, check=True, capture_output=True, text=True)
    return {name.split(".")[0] for name in re.findall(r"^import time:.*\|\s*(\S+)$", done.stderr, re.MULTILINE)}


@pytest.mark.parametrize("arguments", [["--version"], ["--help"], ["-h"]])
def test_command_line_starts_without_them(arguments: list[str]) -> None:
    imported = _imported(RUN, *arguments)
    assert "ncgopt_cli" in imported
    assert imported.isdisjoint(HEAVY)


def test_library_is_imported_without_them() -> None:
    imported = _imported("import ncgopt; ncgopt.Settings(); ncgopt.__version__")
    assert "ncgopt" in imported
    assert imported.isdisjoint(HEAVY)


@pytest.mark.parametrize("module", ["onnx", "onnx_ir", "onnxruntime"])
def test_the_measure_sees_a_heavy_import(module: str) -> None:
    assert module in _imported(f"import {module}")
