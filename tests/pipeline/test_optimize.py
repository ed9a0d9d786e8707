"""`optimize` as a whole, on small models: what it writes, what it refuses to write, and what it says."""

from __future__ import annotations

import sys
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import onnx
import onnxruntime
import pytest

import ncgopt
from ncgopt.errors import CannotWrite, Inconclusive, UnsoundRewrite, Usage, VerificationFailed
from ncgopt.pipeline import catalog, findings
from ncgopt.rewrite import Claim, Rule
from ncgopt.rules import RULES
from ncgopt.settings import Settings, VerifySettings

DENSE = """
<ir_version: 10, opset_import: ["" : 21], producer_name: "test", metadata_props: ["author": "me"]>
g (float[batch, 4] x) => (float[batch, 2] y) <float[4, 2] w = {1, 2, 3, 4, 5, 6, 7, 8}, float[2] b = {1, -1}> {
  i = Identity(x)  h = Gemm(i, w, b)  n = Neg(h)  y = Relu(n)
}
"""


@pytest.fixture
def model(tmp_path: Path) -> Path:
    return write(tmp_path / "model.onnx", DENSE)


def write(path: Path, text: str) -> Path:
    onnx.save(onnx.parser.parse_model(text), path)
    return path


def run(path: Path, x: np.ndarray) -> np.ndarray:
    return onnxruntime.InferenceSession(str(path), providers=["CPUExecutionProvider"]).run(None, {"x": x})[0]


@dataclass(frozen=True)
class Found:
    x: object
    out: object


class BreakNeg(Rule[Found]):
    """`Neg(x)` becomes `Abs(x)`, which is wrong."""

    name = "break-neg"
    claim = Claim.EXACT
    root = "Neg"
    unconditional = "a test wants it wrong"

    def match(self, node):
        return Found(node.inputs[0], node.outputs[0])

    def build(self, tape, m):
        return [tape.op("Abs", [m.x])]


class WidenNeg(BreakNeg):
    """`Neg(x)` becomes a double, which the engine notices."""

    name = "widen-neg"

    def build(self, tape, m):
        return [tape.op("Cast", [m.x], {"to": 11})]


def with_rule(monkeypatch, rule: Rule) -> None:
    # `ncgopt.pipeline.catalog` as an attribute is the function of that name.
    monkeypatch.setattr(sys.modules["ncgopt.pipeline.catalog"], "RULES", (*RULES, rule))


def test_writes_a_verified_model_beside_the_input(model: Path):
    report = ncgopt.optimize(model)
    written = model.with_name("model.opt.onnx")
    assert report.output == str(written)
    assert report.status == "written"
    assert report.verification.status == "passed"
    assert {run.binding["batch"] for run in report.verification.runs} >= {1, 3}
    assert (report.before.nodes, report.after.nodes) == (4, 3)
    x = np.arange(12, dtype=np.float32).reshape(3, 4)
    np.testing.assert_array_equal(run(model, x), run(written, x))
    saved = onnx.load(written)
    assert saved.producer_name == "test"
    assert saved.metadata_props[0].value == "me"
    assert saved.graph.input[0].type.tensor_type.shape.dim[0].dim_param == "batch"


def test_a_second_run_changes_nothing(model: Path):
    first = Path(ncgopt.optimize(model).output)
    again = ncgopt.optimize(first, output=model.with_name("again.onnx"))
    assert again.rewrites == []
    assert Path(again.output).read_bytes() == first.read_bytes()
    assert not findings(first, Settings()).rewrites


def test_in_place(model: Path):
    ncgopt.optimize(model, in_place=True)
    assert [n.op_type for n in onnx.load(model).graph.node] == ["Gemm", "Neg", "Relu"]
    assert list(model.parent.iterdir()) == [model]


def test_dry_run_writes_nothing(model: Path):
    report = ncgopt.optimize(model, Settings(dry_run=True))
    assert report.status == "dry-run"
    assert report.verification.status == "passed"
    assert list(model.parent.iterdir()) == [model]


def test_a_wrong_rule_is_found_and_left_out(tmp_path: Path, monkeypatch):
    path = write(
        tmp_path / "m.onnx",
        """<ir_version: 10, opset_import: ["" : 21]>
        g (float[2] x) => (float[2] y, float[2] z) { i = Identity(x)  a = Neg(i)  y = Exp(a)  b = Abs(x)  z = Neg(b) }""",
    )
    with_rule(monkeypatch, BreakNeg())
    report = ncgopt.optimize(path)
    assert [r.source for r in report.rolled_back] == ["break-neg", "break-neg"]
    assert report.verification.status == "passed"
    assert {r.source for r in report.rewrites} == {"eliminate-identity"}
    assert sorted(n.op_type for n in onnx.load(report.output).graph.node) == ["Abs", "Exp", "Neg", "Neg"]


def test_a_wrong_rule_under_strict_writes_nothing(model: Path, monkeypatch):
    with_rule(monkeypatch, BreakNeg())
    target = model.with_name("model.opt.onnx")
    target.write_bytes(b"what was there before")
    with pytest.raises(VerificationFailed, match="break-neg at Neg") as failure:
        ncgopt.optimize(model, Settings(strict=True))
    assert failure.value.exit_code == 3
    assert failure.value.report.culprit == "break-neg"
    assert failure.value.report.verification.worst.output == "y"
    assert target.read_bytes() == b"what was there before"
    assert sorted(p.name for p in model.parent.iterdir()) == ["model.onnx", "model.opt.onnx"]


def test_a_rule_that_changes_the_type_is_stopped_by_the_engine(model: Path, monkeypatch):
    with_rule(monkeypatch, WidenNeg())
    with pytest.raises(UnsoundRewrite, match=r"widen-neg.*DOUBLE instead of FLOAT") as failure:
        ncgopt.optimize(model, Settings(strict=True))
    assert failure.value.exit_code == 4
    assert list(model.parent.iterdir()) == [model]


def test_unknown_operators_are_inconclusive(tmp_path: Path):
    path = write(
        tmp_path / "m.onnx",
        '<ir_version: 10, opset_import: ["" : 21, "acme" : 1]> g (float[2] x) => (float[2] y) { y = acme.Op(x) }',
    )
    with pytest.raises(Inconclusive, match="acme") as failure:
        ncgopt.optimize(path)
    assert failure.value.exit_code == 5
    assert list(tmp_path.iterdir()) == [path]
    report = ncgopt.optimize(path, Settings(allow_unverified=True))
    assert report.status == "written"
    assert report.verification.status == "inconclusive"
    assert ncgopt.optimize(path, Settings(verify=False)).verification.status == "skipped"


def test_keep_protects_nodes_and_initializers(tmp_path: Path):
    path = write(
        tmp_path / "m.onnx",
        """<ir_version: 10, opset_import: ["" : 21]>
        g (float[2] x) => (float[2] y) <float[2] spare = {1, 2}, float[2] a = {1, 2}> { y = Add(x, a) }""",
    )
    kept = ncgopt.optimize(path, Settings(keep=("spare",)))
    assert kept.after.initializers == 2
    assert ncgopt.optimize(path).after.initializers == 1
    with pytest.raises(Usage, match="nonsense"):
        ncgopt.optimize(path, Settings(keep=("nonsense*",)))


def test_bind_pins_a_dimension(model: Path):
    report = ncgopt.optimize(model, Settings(bind={"batch": 5}))
    assert {run.binding.get("batch") for run in report.verification.runs} == {5}
    dims = onnx.load(report.output).graph.input[0].type.tensor_type.shape.dim
    assert [d.dim_value for d in dims] == [5, 4]
    with pytest.raises(Usage, match="did you mean batch"):
        ncgopt.optimize(model, Settings(bind={"batsch": 5}))


def test_user_feeds_are_used(model: Path, tmp_path: Path):
    np.savez(tmp_path / "mine.npz", x=np.ones((7, 4), np.float32))
    report = ncgopt.optimize(model, Settings(verification=VerifySettings(feeds=(tmp_path / "mine.npz",))))
    assert any(run.source.endswith("mine.npz") for run in report.verification.runs)


@pytest.mark.parametrize(
    ("settings", "text"),
    [
        (Settings(passes=("fold-constant",)), "did you mean fold-constants"),
        (Settings(preset="defualt"), "did you mean default"),
        (Settings(skip=("no-such-*",)), "no-such"),
        (Settings(options={"fold-constants": {"max_grow": 1}}), "did you mean max_growth"),
        (Settings(options={"fold-constants": {"max_growth": "much"}}), "must be int"),
        (Settings(options={"prune-weights": {"sparsity": 0.5}}), "--passes prune-weights"),
        (Settings(passes=("prune-weights",), options={"prune-weights": {"sparsity": 2.0}}), "from 0 to 1"),
    ],
    ids=lambda v: v if isinstance(v, str) else "",
)
def test_settings_that_make_no_sense(model: Path, settings: Settings, text: str):
    with pytest.raises(Usage, match=text):
        ncgopt.optimize(model, settings)


def test_output_that_cannot_be(model: Path, tmp_path: Path):
    with pytest.raises(Usage, match="in-place"):
        ncgopt.optimize(model, output=model)
    with pytest.raises(CannotWrite, match="folder does not exist"):
        ncgopt.optimize(model, output=tmp_path / "nowhere" / "m.onnx")


def test_explicit_passes_and_skip(model: Path):
    assert ncgopt.optimize(model, Settings(passes=("eliminate-identity",))).passes[0].rules == {"eliminate-identity": 1}
    assert not ncgopt.optimize(model, Settings(skip=("eliminate-*",))).rewrites
    assert not ncgopt.optimize(model, Settings(preset="none")).rewrites


@pytest.mark.parametrize("settings", [Settings(exact=True), Settings(preset="exact"), Settings(passes=("exact",))])
def test_exact_leaves_out_what_rounds(tmp_path: Path, settings: Settings):
    path = write(
        tmp_path / "m.onnx",
        """<ir_version: 10, opset_import: ["" : 21]>
        g (float[2, 2] x) => (float[2, 2] y) <float[2, 2] w = {1, 2, 3, 4}, float[2] b = {1, 2}> {
          i = Identity(x)  h = MatMul(i, w)  y = Add(h, b) }""",
    )
    assert "fuse-matmul-add" in {r.source for r in ncgopt.optimize(path, Settings(dry_run=True)).rewrites}
    report = ncgopt.optimize(path, settings)
    claims = {entry.name: entry.claim for entry in catalog()}
    assert report.rewrites
    assert {claims[r.source] for r in report.rewrites} == {"EXACT"}


def test_pruning_is_judged_on_its_own(model: Path):
    settings = Settings(passes=("prune-weights", "default"), options={"prune-weights": {"sparsity": 0.5}})
    report = ncgopt.optimize(model, settings)
    weights = onnx.numpy_helper.to_array(onnx.load(report.output).graph.initializer[0])
    assert (weights == 0).sum() == 4
    assert report.verification.status == "passed"  # against the pruned model
    assert report.lossy.status == "failed"  # against the original
    assert report.lossy.worst.max_abs > 0
