"""The main job on the sample models: what each of them is there to show."""

from pathlib import Path

import pytest

import ncgopt

FOLDER = Path(__file__).parents[2] / "models"
ONNXRUNTIME = ncgopt.Settings(target=ncgopt.Target.ONNXRUNTIME)


def _operators(name: str, folder: Path, settings: ncgopt.Settings | None = None) -> dict[str, int]:
    report = ncgopt.optimize(FOLDER / f"{name}.onnx", settings, output=folder / f"{name}.onnx")
    assert report.status == "written"
    assert report.verification.status == "passed"
    assert report.after is not None
    return dict(report.after.operators)


def test_dense_becomes_two_fused_layers_for_onnx_runtime(tmp_path: Path) -> None:
    assert _operators("dense", tmp_path, ONNXRUNTIME) == {"com.microsoft::FusedGemm": 2}


def test_dense_stays_standard_for_any_runtime(tmp_path: Path) -> None:
    assert _operators("dense", tmp_path) == {"Gemm": 2, "Relu": 2}


def test_linear_layers_become_one(tmp_path: Path) -> None:
    assert _operators("dense_linear", tmp_path) == {"Gemm": 1}


def test_batch_normalization_and_leftovers_of_training_are_gone(tmp_path: Path) -> None:
    assert _operators("cnn", tmp_path).keys().isdisjoint({"BatchNormalization", "Identity", "Dropout"})


def test_subgraphs_are_optimized_too(tmp_path: Path) -> None:
    operators = _operators("control_flow", tmp_path)
    assert operators.get("Gemm", 0) + operators.get("MatMul", 0) == 2  # two products of one branch were one
    assert operators.get("Identity", 0) <= 1  # the condition of the Loop, which is what it was


def test_weights_and_work_are_shared(tmp_path: Path) -> None:
    operators = _operators("duplicates", tmp_path)
    assert operators["Tanh"] == 1
    assert operators["MatMul"] == 1  # the other is in the table that Gather reads


@pytest.mark.parametrize("settings", [ncgopt.Settings(), ONNXRUNTIME], ids=["onnx", "onnxruntime"])
@pytest.mark.parametrize("name", ["transformer", "control_flow"])
def test_a_second_run_changes_nothing(name: str, settings: ncgopt.Settings, tmp_path: Path) -> None:
    once, twice = tmp_path / "once.onnx", tmp_path / "twice.onnx"
    ncgopt.optimize(FOLDER / f"{name}.onnx", settings, output=once)
    report = ncgopt.optimize(once, settings, output=twice)
    assert report.rewrites == []
    assert twice.read_bytes() == once.read_bytes()
