"""A baseline lets known findings pass, and only these."""

import json
from pathlib import Path

import pytest

from ncgopt.errors import InputUnreadable
from ncgopt.lint import baseline
from ncgopt.lint.finding import Checked, Finding


def _finding(name: str, count: int = 1) -> Finding:
    return Finding("rewrite", name, count, "somewhere", "NCG001", "warning", "optimize")


def test_what_is_known_passes_and_what_is_new_does_not(tmp_path):
    path, model = tmp_path / "base.json", tmp_path / "models" / "m.onnx"
    baseline.write(path, [Checked(model, (_finding("a", 2), _finding("b"))), Checked(tmp_path / "fine.onnx")])
    known = baseline.read(path)
    assert json.loads(path.read_text())["models"] == {"models/m.onnx": {"NCG001 a": 2, "NCG001 b": 1}}

    def left(*findings: Finding, of: Path = model) -> list[str]:
        return [one.name for one in baseline.without_known(Checked(of, findings), known, path).findings]

    assert left(_finding("a", 2), _finding("b")) == []
    assert left(_finding("a", 1)) == []
    assert left(_finding("a", 3)) == ["a"]
    assert left(_finding("b"), _finding("b")) == ["b"]
    assert left(_finding("c")) == ["c"]
    assert left(_finding("a"), of=tmp_path / "other.onnx") == ["a"]


def test_a_baseline_that_is_none(tmp_path):
    path = tmp_path / "base.json"
    with pytest.raises(InputUnreadable, match="--update-baseline"):
        baseline.read(path)
    for text in ("", "[]", '{"version": 2, "models": {}}', '{"version": 1, "models": {"m": {"NCG001": "x"}}}'):
        path.write_text(text)
        with pytest.raises(InputUnreadable, match=r"base\.json"):
            baseline.read(path)
