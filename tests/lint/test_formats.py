"""Each format says everything, and nothing that its readers do not understand."""

import json
import os
from pathlib import Path
from xml.etree import ElementTree

import jsonschema
import pytest

from ncgopt.lint.catalog import checks
from ncgopt.lint.finding import Checked, Finding
from ncgopt.lint.formats import FORMATS

NASTY = 'a%b\x01 "<&>", c: \U0001f600'
CHECKED = [
    Checked(Path("a b/m,1.onnx"), (Finding("nan-weights", NASTY, 2, "here", "NCG203", "warning"),)),
    Checked(Path("n.onnx"), (Finding("custom-domains", "my", 1, "there", "NCG503", "note"),)),
    Checked(Path("fine.onnx")),
    Checked(Path("gone.onnx"), error="gone.onnx cannot be read", exit_code=66),
]


def test_github():
    lines = FORMATS["github"](CHECKED).splitlines()
    assert lines[0].startswith("::warning file=a b/m%2C1.onnx,title=NCG203 nan-weights::nan-weights: a%25b")
    assert lines[1].startswith("::notice file=n.onnx,")
    assert lines[2] == "::error file=gone.onnx,title=ncgopt::gone.onnx cannot be read"
    assert len(lines) == 3


def test_junit():
    root = ElementTree.fromstring(FORMATS["junit"](CHECKED))
    suites = root.findall("testsuite")
    assert [(s.get("name"), s.get("tests"), s.get("failures"), s.get("errors")) for s in suites] == [
        ("a b/m,1.onnx", "1", "1", "0"), ("n.onnx", "1", "0", "0"), ("fine.onnx", "1", "0", "0"), ("gone.onnx", "1", "0", "1"),
    ]  # fmt: skip
    assert "a%b\ufffd" in (suites[0].find("testcase/failure").get("message"))
    assert "there" in suites[1].find("system-out").text


def test_json():
    models = json.loads(FORMATS["json"](CHECKED))["models"]
    assert [one["model"] for one in models] == [str(one.model) for one in CHECKED]
    assert models[0]["findings"][0]["code"] == "NCG203"
    assert models[3]["error"]


def test_sarif_by_its_own_rules():
    log = json.loads(FORMATS["sarif"](CHECKED))
    assert log["version"] == "2.1.0"
    (run,) = log["runs"]
    rules = run["tool"]["driver"]["rules"]
    assert [rule["id"] for rule in rules] == [check.code for check in checks()]
    for result in run["results"]:
        assert rules[result["ruleIndex"]]["id"] == result["ruleId"]
        assert result["level"] in ("note", "warning", "error")
        location = result["locations"][0]["physicalLocation"]
        assert " " not in location["artifactLocation"]["uri"]
        assert location["region"]["startLine"] == 1
    assert len({result["partialFingerprints"]["ncgopt/v1"] for result in run["results"]}) == 2
    assert run["invocations"][0]["executionSuccessful"] is False
    assert run["invocations"][0]["toolExecutionNotifications"][0]["message"]["text"].startswith("gone.onnx")


@pytest.mark.parametrize(
    ("model", "uri"),
    [
        ("a b/m.onnx", "a%20b/m.onnx"),
        ("{here}/a b/m.onnx", "a%20b/m.onnx"),
        ("a b/../c#1?.onnx", "c%231%3F.onnx"),
        ("../m.onnx", "../m.onnx"),
        ("c:d.onnx", "c%3Ad.onnx"),
    ],
)
def test_sarif_names_files_from_the_working_directory(tmp_path, monkeypatch, model, uri):
    monkeypatch.chdir(tmp_path)
    finding = Finding("nan-weights", "w", 1, "here", "NCG203", "warning")
    log = json.loads(FORMATS["sarif"]([Checked(Path(model.format(here=tmp_path)), (finding,))]))
    assert log["runs"][0]["results"][0]["locations"][0]["physicalLocation"]["artifactLocation"]["uri"] == uri


@pytest.mark.skipif("SARIF_MULTITOOL" not in os.environ, reason="names the Sarif.Multitool of npm, 90 MB")
def test_sarif_by_its_schema():
    """`npm pack @microsoft/sarif-multitool-linux` brings the program, which carries the official schema inside."""
    program = Path(os.environ["SARIF_MULTITOOL"]).read_bytes()
    title = program.index(b"Static Analysis Results Format (SARIF) Version 2.1.0 JSON Schema")
    begin = program.rindex(b'{\r\n  "$schema"', 0, title)
    schema, _ = json.JSONDecoder().raw_decode(program[begin : begin + (1 << 19)].decode(errors="replace"))
    validator = jsonschema.validators.validator_for(schema)(schema)
    log = json.loads(FORMATS["sarif"](CHECKED))
    assert [error.message for error in validator.iter_errors(log)] == []
    log["runs"][0]["results"][0]["level"] = "bad"
    assert [error.message for error in validator.iter_errors(log)] != []
