"""Real frameworks, from the command line; each test needs one, which `make test-capture` installs."""

from __future__ import annotations

import importlib.util
import subprocess
import sys
from pathlib import Path

import onnx
import pytest

HERE = Path(__file__).parent
TEXT = ("input_ids:i64[batch,seq]=5..90", "attention_mask:i64[batch,seq]=1..1")
IMAGE = ("pixel_values:f32[batch,3,32,32]",)
ARCHITECTURES = {
    **dict.fromkeys(("bert", "roberta", "distilbert", "electra", "albert", "mpnet", "gpt2", "opt"), TEXT),
    **dict.fromkeys(("llama", "mistral", "qwen3", "gemma"), TEXT),
    **dict.fromkeys(("vit", "deit"), IMAGE),
}


def needs(*packages: str) -> pytest.MarkDecorator:
    missing = [name for name in packages if importlib.util.find_spec(name) is None]
    return pytest.mark.skipif(bool(missing), reason=f"{' and '.join(missing)} not installed; make test-capture does it")


def capture(source: str, target: Path, *options: str, code: int = 0) -> str:
    command = [sys.executable, "-c", "from ncgopt_cli.main import run; run()", "capture", source, "-o", str(target)]
    done = subprocess.run(
        [*command, "--measure-seconds", "0", *options],
        capture_output=True,
        text=True,
        check=False,
        cwd=HERE,
        timeout=600,
    )
    assert done.returncode == code, done.stderr
    assert target.exists() == (code == 0)
    return done.stdout if code == 0 else done.stderr


def symbols(path: Path) -> set[str]:
    graph = onnx.load(path).graph
    return {
        dim.dim_param or str(dim.dim_value)
        for value in (*graph.input, *graph.output)
        for dim in value.type.tensor_type.shape.dim
    }


@needs("torch", "onnxscript")
def test_torch(tmp_path: Path):
    text = capture("programs_torch.py:Net", tmp_path / "m.onnx", "--input", "x:f32[batch,10]")
    assert "batch=1" in text
    assert "training mode left" in text
    assert symbols(tmp_path / "m.onnx") == {"batch", "10", "64"}
    capture("programs_torch.py:product", tmp_path / "p.onnx", "--input", "x:f32[n,4]", "--input", "y:f32[4,k]")
    assert symbols(tmp_path / "p.onnx") == {"n", "4", "k"}


@needs("torch", "onnxscript")
@pytest.mark.parametrize(
    ("name", "says"), [("OneSize", r"batch (axis 0 of x) has become 3"), ("DependsOnData", "programs_torch.py:")]
)
def test_torch_that_cannot_be(name: str, says: str, tmp_path: Path):
    said = capture(f"programs_torch.py:{name}", tmp_path / "m.onnx", "--input", "x:f32[batch,10]", code=2)
    assert says in said
    assert said.count("\n") == 1


@needs("torch", "onnxscript")
def test_torch_that_counts(tmp_path: Path):
    assert "changes its own state" in capture("programs_torch.py:Counter", tmp_path / "m.onnx", "--input", "x:f32[n,2]")


@needs("torch", "onnxscript")
def test_an_exported_program(tmp_path: Path):
    make = "import torch, programs_torch as p; torch.export.save(torch.export.export(p.Net().eval(), (torch.ones(2, 10),), dynamic_shapes=({0: torch.export.Dim('b')},)), 'PATH')"
    command = [sys.executable, "-c", make.replace("PATH", str(tmp_path / "m.pt2"))]
    subprocess.run(command, check=True, cwd=HERE, capture_output=True)
    capture(str(tmp_path / "m.pt2"), tmp_path / "m.onnx", "--input", "x:f32[batch,10]")
    assert symbols(tmp_path / "m.onnx") == {"batch", "10", "64"}


@needs("torch", "onnxscript", "transformers")
@pytest.mark.parametrize("name", ARCHITECTURES)
def test_transformers(name: str, tmp_path: Path):
    given = [part for spec in ARCHITECTURES[name] for part in ("--input", spec)]
    limits = ["--range", "seq=1..48"] if "seq" in "".join(given) else []
    text = capture(f"architectures.py:{name}", tmp_path / "m.onnx", *given, *limits, "--target", "onnxruntime")
    line = next(line for line in text.splitlines() if line.startswith("static"))
    assert line.count("batch=") >= 4
    assert {"batch"} <= symbols(tmp_path / "m.onnx") <= {"batch", "seq", "3", "17", "18", "32"}


@needs("torch", "onnxscript", "transformers")
def test_what_the_exporter_cannot_is_said_with_its_reason(tmp_path: Path):
    """Of T5, torch.export 2.13 with open sizes refuses a view that eager PyTorch takes."""
    given = [part for spec in TEXT for part in ("--input", spec)]
    said = capture("architectures.py:t5_encoder", tmp_path / "m.onnx", *given, "--range", "seq=1..48", code=2)
    assert "cannot export it" in said
    assert "view" in said


@needs("keras", "jax", "jax2onnx")
@pytest.mark.parametrize(
    ("name", "options"), [("dense", ()), ("cnn", ()), ("transformer", ("--input", "tokens:i32[batch,seq]=0..49"))]
)
def test_keras_on_jax(name: str, options: tuple[str, ...], tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("KERAS_BACKEND", "jax")
    text = capture(f"programs_keras.py:{name}", tmp_path / "m.onnx", *options)
    assert "batch=1" in text
    assert {"batch"} <= symbols(tmp_path / "m.onnx") <= {"batch", "seq", "1", "10", "28", "32", "64"}


@needs("keras", "jax", "jax2onnx")
def test_a_keras_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("KERAS_BACKEND", "jax")
    make = f"import programs_keras as p; p.dense().save({str(tmp_path / 'm.keras')!r})"
    subprocess.run([sys.executable, "-c", make], check=True, cwd=HERE, capture_output=True)
    capture(str(tmp_path / "m.keras"), tmp_path / "m.onnx")
    assert symbols(tmp_path / "m.onnx") == {"batch", "10", "64"}


@needs("jax", "jax2onnx")
@pytest.mark.parametrize(("name", "given"), [("mlp", "x:f32[batch,10]"), ("attention", "x:f32[batch,seq,32]")])
def test_jax(name: str, given: str, tmp_path: Path):
    capture(f"programs_jax.py:{name}", tmp_path / "m.onnx", "--input", given)
    assert symbols(tmp_path / "m.onnx") <= {"batch", "seq", "10", "5", "32"}
