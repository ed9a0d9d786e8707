"""The sample models: reproducible, valid, small, runnable, and no output is a constant."""

import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import onnx
import onnxruntime as ort
import pytest

FOLDER = Path(__file__).parents[2] / "models"
SCRIPTS = sorted(p.stem for p in FOLDER.glob("*.py") if p.stem not in ("assemble", "build"))

Feeds = dict[str, np.ndarray]


def _floats(seed: int, *shape: int) -> np.ndarray:
    return np.random.default_rng(seed).standard_normal(shape).astype(np.float32)


def _ids(seed: int, high: int, *shape: int) -> np.ndarray:
    return np.random.default_rng(seed).integers(0, high, shape)


def _feeds(name: str, batch: int, sequence: int, seed: int) -> Feeds:
    """Feeds of one size; another seed changes every input."""
    match name:
        case "dense" | "dense_linear":
            return {"input": _floats(seed, batch, 10)}
        case "cnn":
            return {"image": _floats(seed, batch, 3, 32, 32)}
        case "transformer":
            mask = np.ones((batch, sequence), np.int64)
            mask[:, -1] = seed % 2
            return {"input_ids": _ids(seed, 100, batch, sequence), "attention_mask": mask}
        case "control_flow":
            return {"x": _floats(seed, batch, 8), "gated": np.array(seed % 2 == 0), "steps": np.array(1 + seed)}
        case "duplicates":
            return {"ids": _ids(seed, 200, batch, sequence)}
        case _:
            raise AssertionError(f"models/{name}.py is new: say here what it takes")


def _session(name: str) -> ort.InferenceSession:
    return ort.InferenceSession(FOLDER / f"{name}.onnx", providers=["CPUExecutionProvider"])


def _subgraphs(graph: onnx.GraphProto) -> Iterator[onnx.GraphProto]:
    yield graph
    for node in graph.node:
        for attribute in node.attribute:
            if attribute.HasField("g"):
                yield from _subgraphs(attribute.g)


def test_every_script_has_its_model_and_no_model_is_without_script() -> None:
    assert SCRIPTS
    assert sorted(p.stem for p in FOLDER.glob("*.onnx")) == SCRIPTS


def test_building_again_gives_the_committed_bytes(tmp_path: Path) -> None:
    subprocess.run([sys.executable, FOLDER / "build.py", tmp_path], check=True)
    built = {p.name: p.read_bytes() for p in tmp_path.iterdir()}
    assert built == {p.name: p.read_bytes() for p in FOLDER.glob("*.onnx")}


def test_they_are_small() -> None:
    sizes = [p.stat().st_size for p in FOLDER.glob("*.onnx")]
    assert max(sizes) < 300_000
    assert sum(sizes) < 1_000_000


@pytest.mark.parametrize("name", SCRIPTS)
def test_model_is_valid_and_its_nodes_have_names(name: str) -> None:
    model = onnx.load(FOLDER / f"{name}.onnx")
    onnx.checker.check_model(model, full_check=True)
    names = [node.name for graph in _subgraphs(model.graph) for node in graph.node]
    assert all(names)
    assert len(names) == len(set(names))


@pytest.mark.parametrize("name", SCRIPTS)
def test_every_input_matters_and_every_output_moves(name: str) -> None:
    session = _session(name)
    outputs = [o.name for o in session.get_outputs()]
    base = _feeds(name, 3, 5, seed=0)
    reference = session.run(outputs, base)
    assert all(np.isfinite(value).all() for value in reference)
    moved = set[str]()
    for key, other in _feeds(name, 3, 5, seed=1).items():
        changed = session.run(outputs, base | {key: other})
        now = {o for o, a, b in zip(outputs, reference, changed, strict=True) if not np.array_equal(a, b)}
        assert now, f"input {key} changes nothing"
        moved |= now
    assert moved == set(outputs)


@pytest.mark.parametrize(("batch", "sequence"), [(1, 1), (4, 7)])
@pytest.mark.parametrize("name", SCRIPTS)
def test_dynamic_dimensions_are_dynamic(name: str, batch: int, sequence: int) -> None:
    session = _session(name)
    declared = {"batch": batch, "sequence": sequence}
    for output, value in zip(
        session.get_outputs(), session.run(None, _feeds(name, batch, sequence, seed=2)), strict=True
    ):
        assert value.shape == tuple(declared.get(d, d) for d in output.shape)
        assert "batch" in output.shape
