"""The commands of the tutorial, as they stand there."""

from __future__ import annotations

import importlib.util
import os
import re
import subprocess
import sys
from pathlib import Path

import onnx
import pytest

ROOT = Path(__file__).parents[2]
MISSING = [name for name in ("keras", "jax", "jax2onnx") if importlib.util.find_spec(name) is None]


def commands() -> list[str]:
    text = (ROOT / "docs" / "tutorial.md").read_text(encoding="utf-8")
    return [line for block in re.findall(r"```sh\n(.*?)```", text, re.S) for line in block.splitlines()]


def test_there_is_a_whole_journey():
    said = [line.split()[1] for line in commands() if line.startswith("ncgopt")]
    assert said == ["capture", "optimize", "inspect", "prune", "tune", "verify", "check"]


@pytest.mark.skipif(bool(MISSING), reason=f"{' and '.join(MISSING)} not installed; make test-capture does it")
def test_the_journey(tmp_path: Path):
    (tmp_path / "models").symlink_to(ROOT / "models")
    (tmp_path / "bin").mkdir()
    for name, start in (("ncgopt", "from ncgopt_cli.main import run; run()"), ("python", "")):
        script = tmp_path / "bin" / name
        script.write_text(f"#!/bin/sh\nexec {sys.executable} " + (f"-c '{start}' " if start else "") + '"$@"\n')
        script.chmod(0o755)
    environment = {**os.environ, "PATH": f"{tmp_path / 'bin'}:{os.environ['PATH']}", "KERAS_BACKEND": "jax"}
    for command in commands():
        done = subprocess.run(
            ["sh", "-c", command],
            cwd=tmp_path,
            env=environment,
            capture_output=True,
            text=True,
            check=False,
            timeout=600,
        )
        assert done.returncode == 0, f"{command}\n{done.stdout}\n{done.stderr}"
    assert {node.op_type for node in onnx.load(tmp_path / "dense.opt.onnx").graph.node} <= {"FusedGemm", "Gemm", "Relu"}
    assert onnx.load(tmp_path / "dense.opt.onnx").graph.input[0].type.tensor_type.shape.dim[0].dim_param == "batch"
    made = set(os.listdir(tmp_path))
    assert made >= {"report.html", "dense.pruned.onnx", "data.npz"}
    assert any(name.endswith(".session.json") for name in made)
