"""Reports are what their published schema says."""

import json
from pathlib import Path

import jsonschema
import pytest

from ncgopt import report as reports
from ncgopt.report import Report
from ncgopt.schema import report_schema
from ncgopt.to_json import to_json
from ncgopt_cli.main import invoke

MODELS = Path(__file__).parents[2] / "models"


@pytest.fixture(scope="module")
def validator() -> jsonschema.Draft202012Validator:
    """The published schema."""
    schema = json.loads((Path(__file__).parents[2] / "docs" / "report.schema.json").read_text())
    assert schema == report_schema()
    jsonschema.Draft202012Validator.check_schema(schema)
    return jsonschema.Draft202012Validator(schema)


@pytest.mark.parametrize("model", ["cnn.onnx", "transformer.onnx", "control_flow.onnx"])
def test_real_reports(validator, tmp_path, model):
    path = tmp_path / "report.json"
    arguments = [str(MODELS / model), "-o", str(tmp_path / "out.onnx"), "--report", str(path), "--quiet"]
    assert invoke(["optimize", *arguments]) == 0
    report = json.loads(path.read_text())
    validator.validate(report)
    validator.validate([report, report])
    assert report["verification"]["runs"]


def test_a_full_report(validator):
    difference = reports.OutputDifference("y", float("inf"), 1.0, float("nan"), error=0.5)
    run = reports.VerifyRun("draw 0", {"N": 2}, "disable-all", (difference,))
    stats = reports.ModelStats(1, 0, 0, 0, 0, 0, {"Relu": 1})
    report = Report(
        "m.onnx", "0.1", before=stats, after=stats, opset=reports.OpsetChange(11, 21, 8, 10, {"Upsample": 1})
    )
    report.verification = reports.Verification(
        "failed", runs=(run,), worst=difference, windows=reports.WindowFigures(1, 1, 0, 0)
    )
    report.lossy, report.measurement = report.verification, reports.Measurement(1, ratio=1.5)
    report.search = reports.Search(found=(reports.FoundSequence(("a at b",), 1.1),))
    report.rolled_back.append(reports.RolledBack(0, "a", "b"))
    report.not_profitable.append(reports.NotProfitable(0, "a", "b", 0.9, 0.8, 0.95))
    report.refusals.append(reports.Refusal("a", "b", 1, "c"))
    data = json.loads(to_json(report))
    validator.validate(data)
    for field in ("status", "before", "passes"):
        broken = {key: value for key, value in data.items() if key != field}
        assert not validator.is_valid(broken)
    assert not validator.is_valid({**data, "status": "fine"})
    assert not validator.is_valid({**data, "schema_version": 0})
