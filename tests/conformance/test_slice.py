"""A few cases of the suite on every run of the tests; `make conformance` runs them all."""

from __future__ import annotations

import pytest

from conformance.__main__ import Outcome, table, try_case
from conformance.suite import Case, load
from conformance.trial import Verdict
from ncgopt.runtime import Worker

# The node tests compute their data on loading, which takes longer than everything here.
SLICE = load(("simple", "pytorch-operator", "pytorch-converted"))[::5]


@pytest.fixture(scope="module")
def worker():
    with Worker() as shared:
        yield shared


@pytest.mark.parametrize("case", SLICE, ids=lambda case: case.name)
def test_conforms(case: Case, worker: Worker):
    outcome = try_case(case, worker)
    assert outcome.status in ("passed", "skipped"), outcome.targets


def test_what_is_expected_wrongly_is_skipped(worker: Worker):
    case = next(c for c in SLICE if c.data and try_case(c, worker).judges)
    inputs, outputs = case.data[0]
    other = Case(case.name, case.kind, case.model, ((inputs, [v + 1 for v in outputs]),), case.rtol, case.atol)
    outcome = try_case(other, worker)
    assert outcome.status == "skipped"
    assert outcome.engines["onnxruntime"].startswith("other outputs")


def test_the_table_counts_and_names_what_is_wrong():
    good = Outcome("a", "node", {"reference": "", "onnxruntime": ""}, {"onnx": Verdict(rewrites={"rule": 1})})
    bad = Outcome("b", "node", {"reference": "", "onnxruntime": ""}, {"onnx": Verdict({"crash": "SIGSEGV"})})
    skipped = Outcome("c", "node", {"reference": "does not run: x", "onnxruntime": "other outputs: x"})
    text = table([good, bad, skipped])
    assert text.splitlines()[1].split() == ["node", "3", "1", "2", "1", "1", "1", "1"]
    assert "WRONG b, onnx, crash: SIGSEGV" in text
    assert "skipped    1  onnxruntime: other outputs; reference: does not run" in text
