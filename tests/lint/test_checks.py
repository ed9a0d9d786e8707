"""Each check finds what it is there for, and says nothing of a model that is fine."""

import importlib
import re
from pathlib import Path

import numpy as np
import onnx
import pytest

import ncgopt
from ncgopt.lint.catalog import checks
from ncgopt.lint.checks._personal import leak_of, shortened

FINE = "g (float[N, 4] x) => (float[N, 4] y) { y = Add(x, w) }"
ONES = np.linspace(1, 2, 4, dtype=np.float32)


def test_every_file_is_a_check_and_codes_are_in_order():
    folder = Path(ncgopt.__file__).parent / "lint" / "checks"
    stems = {path.stem for path in folder.glob("*.py") if not path.stem.startswith("_")}
    assert stems == {check.name.replace("-", "_") for check in checks()}
    codes = [check.code for check in checks()]
    assert len(set(codes)) == len(codes)
    assert all(re.fullmatch(r"NCG\d{3}", code) for code in codes)
    for check in checks():
        module = importlib.import_module(f"ncgopt.lint.checks.{check.name.replace('-', '_')}")
        assert getattr(module, "".join(part.capitalize() for part in check.name.split("-"))) is check


def test_nothing_is_said_of_a_model_that_is_fine(made, found):
    assert found("NCG", made(FINE, w=ONES)) == []


@pytest.mark.parametrize(
    ("check", "text", "name", "count"),
    [
        ("rewrite", "g (float[N] x) => (float[N] y) { a = Identity(x) y = Neg(a) }", "eliminate-identity", 1),
        ("invalid", "g (float[N] x) => (float[N] y) { y = Neg(a) }", "", 1),
        ("checker", "g (float[N] x) => (float[N] y) { y = Neg<to = 3>(x) }", "", 1),
        ("repair", "g (float[2] x) => (float[2] y) { y = Abs(a) a = Neg(x) }", "nodes-sorted", 1),
        ("contradiction", "g (float[N, 4] x) => (float[N, 4] y) <float[N, 5] t> { t = Neg(x) y = Abs(t) }", "t", 1),
        ("float64-weights", "g (double[2] x) => (double[2] y) <double[2] w = {1, 2}> { y = Add(x, w) }", "", 1),
        ("anonymous-dims", "g (float[unk__12, 4] x) => (float[unk__12, 4] y) { y = Neg(x) }", "x", 1),
        ("anonymous-dims", "g (float[2, ?] x) => (float[2, ?] y) { y = Neg(x) }", "x", 1),
        ("unbound-dims", "g (float[N] x) => (float[M] y) { y = Neg(x) }", "y", 1),
        ("unused-inputs", "g (float[N] x, float z) => (float[N] y) { y = Neg(x) }", "z", 1),
        ("random-operators", "g (float[N] x) => (float[N] y) { a = RandomNormalLike(x) b = RandomNormalLike(x) y = Sub(a, b) }", "RandomNormalLike", 2),
        ("deprecated-operators", '<ir_version: 7, opset_import: ["" : 9]> g (float[1, 1, 2, 2] x) => (float[1, 1, 4, 4] y) <float[4] s = {1, 1, 2, 2}> { y = Upsample(x, s) }', "Upsample", 1),
        ("custom-domains", '<ir_version: 10, opset_import: ["" : 21, "my" : 1]> g (float[2] x) => (float[2] y) { a = my.Op(x) y = my.Op(a) }', "my", 2),
    ],
)  # fmt: skip
def test_it_is_found(made, found, check, text, name, count):
    findings = found(check, made(text))
    assert [(one.kind, one.count) for one in findings] == [(check, count)]
    if name and check != "repair":
        assert findings[0].name == name
    assert findings[0].message
    assert "\n" not in findings[0].message


@pytest.mark.parametrize(
    ("check", "text"),
    [
        ("float64-weights", "g (double[2] x) => (double[2] y) <double w = {1}> { y = Add(x, w) }"),
        ("anonymous-dims", "g (float[batch, 4] x) => (float[batch, 4] y) { y = Neg(x) }"),
        ("unbound-dims", "g (float[N, 2] x) => (float[N, 2] y) { y = Neg(x) }"),
        ("random-operators", "g (float[N] x) => (float[N] y) { y = Dropout(x) }"),
        ("custom-domains", '<ir_version: 10, opset_import: ["" : 21, "my" : 1]> g (float[2] x) => (float[2] y) { y = my.Op(x) } <domain: "my", opset_import: ["" : 21]> Op (a) => (b) { b = Neg(a) }'),
    ],
)  # fmt: skip
def test_it_is_not_found(made, found, check, text):
    assert found(check, made(text)) == []


def test_budgets(made, found):
    path = made('<ir_version: 10, opset_import: ["" : 21, "my" : 1]> g (float[4] x) => (float[4] y) { a = Neg(x) y = my.Op(a) }')  # fmt: skip
    everything = {"max_bytes": 10, "max_nodes": 1, "max_opset": 20, "min_opset": 22, "allowed_domains": ()}
    assert [one.kind for one in found("NCG1", path, **everything)] == [
        "max-bytes", "max-nodes", "opset-range", "opset-range", "allowed-domains",
    ]  # fmt: skip
    assert {one.severity for one in found("NCG1", path, **everything)} == {"error"}
    enough = {"max_bytes": 10**6, "max_nodes": 2, "max_opset": 21, "min_opset": 21, "allowed_domains": ("my",)}
    assert found("NCG1", path, **enough) == found("NCG1", path) == []


@pytest.mark.parametrize("dtype", [np.float16, np.float32, np.float64])
def test_numbers_among_weights(made, found, dtype):
    weight = np.array(
        [1, np.nan, np.inf, -np.inf, np.finfo(dtype).smallest_subnormal, 0, -0.0, np.finfo(dtype).tiny], dtype
    )
    kind = {np.float16: "float16", np.float32: "float", np.float64: "double"}[dtype]
    path = made(f"g ({kind}[8] x) => ({kind}[8] y) {{ y = Add(x, w) }}", w=weight)
    assert [(one.kind, one.name, one.message[0]) for one in found("NCG203", path)] == [("nan-weights", "w", "1")]
    assert [(one.kind, one.message[:4]) for one in found("NCG204", path)] == [("inf-weights", "w: 2")]
    assert [(one.kind, one.message[:4]) for one in found("NCG205", path)] == [("denormal-weights", "w: 1")]


def test_numbers_of_large_weights_in_files_are_all_read(made, found, tmp_path):
    weight = np.ones(3_000_001, np.float32)
    weight[[0, 1_500_000, -1]] = np.nan
    path = made("g (float[3000001] x) => (float[3000001] y) { y = Add(x, w) }", w=weight)
    assert found("NCG203", path)[0].message.startswith("3 ")
    onnx.save(onnx.load(path), tmp_path / "e.onnx", save_as_external_data=True, location="e.data", size_threshold=0)
    assert found("NCG203", tmp_path / "e.onnx")[0].message.startswith("3 ")


def test_integers_have_no_such_numbers(made, found):
    path = made("g (int64[2] x) => (int64[2] y) { y = Add(x, w) }", w=np.array([1, -1]))
    assert found("NCG20", path) == []


def test_duplicates(made, found):
    text = "g (float[1024] x) => (float[1024] y) { a = Add(x, v) y = Mul(a, w) }"
    big = np.arange(1024, dtype=np.float32)
    (one,) = found("duplicate-weights", made(text, v=big, w=big.copy()))
    assert one.name == "v"
    assert "w" in one.message
    assert found("duplicate-weights", made(text, v=big, w=-big)) == []


def test_data_that_nothing_uses(made, found, tmp_path):
    weight = np.arange(8, dtype=np.float32)
    plain = made("g (float[8] x) => (float[8] y) { y = Add(x, w) }", name="plain.onnx", w=weight)
    model = onnx.load(plain)
    onnx.save(model, tmp_path / "m.onnx", save_as_external_data=True, location="m.onnx.data", size_threshold=0)
    assert found("orphaned-data", tmp_path / "m.onnx") == []
    with (tmp_path / "m.onnx.data").open("ab") as file:
        file.write(bytes(100_000))
    (tmp_path / "m.data").write_bytes(b"old")
    findings = found("orphaned-data", tmp_path / "m.onnx")
    assert [(one.name, one.fix) for one in findings] == [("m.onnx.data", "rewrite"), ("m.data", "")]


@pytest.mark.parametrize(
    ("text", "leak"),
    [
        ('File "/home/jane/project/model.py", line 3', "/home/jane/project/model.py"),
        (r"C:\Users\Jane\model.py:3", r"C:\Users\Jane\model.py"),
        ("at /tmp/build-7/x.py", "/tmp/build-7/x.py"),
        ("/root/train.py", "/root/train.py"),
        ("https://github.com/opt/usr/thing", ""),
        ("/model/layers.0/Add", ""),
        ("read the /docs", ""),
        ("shapes N/home/x", ""),
    ],
)
def test_paths_of_a_machine(text, leak):
    assert leak_of(text) == leak
    assert leak_of(shortened(text)) == ""


def test_names_of_nodes_look_like_paths(found, made):
    assert leak_of("/root/data/Conv", name=True) == "/root/data/Conv"  # a home may be a module: rare enough
    assert leak_of("/data/usr/Conv", name=True) == ""
    assert leak_of("/home/jane/net/Conv", name=True)


def test_leaks_everywhere(made, found):
    path = made(FINE, w=ONES)
    model = onnx.load(path)
    model.graph.node[0].doc_string = model.graph.initializer[0].doc_string = "/home/jane/a.py"
    model.doc_string = "fine"
    model.graph.node[0].name = "/home/jane/net/Add"
    model.metadata_props.add(key="source", value="/Users/jane/b.py")
    onnx.save(model, path)
    assert {(one.name, one.count) for one in found("leaks", path)} == {
        ("doc string of node", 1), ("doc string of weight", 1), ("name of node", 1), ("metadata of model", 1),
    }  # fmt: skip
