"""Doc strings and metadata of a model's parts: kept, listed where lost, or taken away on purpose."""

from __future__ import annotations

from pathlib import Path

import onnx
import pytest
from onnx import numpy_helper

import ncgopt
from ncgopt import Settings
from ncgopt import model as models
from ncgopt.model import Remarks

TEXT = """<ir_version: 10, opset_import: ["" : 21, "local" : 1]>
g (float[N, 2] x) => (float[N, 2] y) <float[2] w = {1.0, 2.0}, float[2, 2] m = {1.0, 2.0, 3.0, 4.0}> {
    a = Identity(x)  t = MatMul(a, m)  u = Add(t, w)  v = Neg(u)  y = Neg(v) }
<domain: "local", opset_import: ["" : 21]> unused (p) => (q) { q = Neg(p) }"""


@pytest.fixture
def described() -> onnx.ModelProto:
    """A model that says something about each of its parts."""
    model = onnx.parser.parse_model(TEXT)
    graph = model.graph
    function, *nodes = (*model.functions, *graph.node)
    infos = [graph.input[0], graph.output[0], *graph.value_info]
    for number, part in enumerate((model, graph, function, *nodes, *infos, *graph.initializer)):
        part.doc_string = f"said {number}"
        part.metadata_props.add(key="source", value=f"line {number}")
    return model


def test_stripping_takes_all_but_the_models_own_metadata(described: onnx.ModelProto):
    loaded = models.from_proto(described).model
    models.strip(loaded)
    text = models.to_proto(loaded).SerializeToString()
    assert b"said " not in text
    assert text.count(b"line ") == 1
    assert loaded.metadata_props == {"source": "line 0"}
    kept = models.to_proto(loaded)
    assert [n.op_type for n in kept.graph.node] == [n.op_type for n in described.graph.node]
    assert numpy_helper.to_array(kept.graph.initializer[1]).tolist() == [[1, 2], [3, 4]]


def test_stripping_embedded_and_external_weights_on_disk(described: onnx.ModelProto, tmp_path: Path):
    big = onnx.helper.make_tensor("big", onnx.TensorProto.FLOAT, [4096], b"\0" * 16384, raw=True)
    big.doc_string = "said of a big one"
    described.graph.initializer.append(big)
    for external in (False, True):
        path = tmp_path / f"{external}.onnx"
        onnx.save(described, path, save_as_external_data=external, location=f"{external}.data", size_threshold=100)
        loaded = models.load(path).model
        models.strip(loaded)
        models.save(loaded, tmp_path / "out.onnx")
        assert b"said " not in (tmp_path / "out.onnx").read_bytes()


def test_nothing_is_lost_where_nothing_goes(described: onnx.ModelProto):
    loaded = models.from_proto(described).model
    before = Remarks.of(loaded)
    assert before.lost(Remarks.of(loaded)) == []
    assert len(before.docs) == 11


def test_what_is_lost_is_listed_by_kind(described: onnx.ModelProto):
    described.graph.quantization_annotation.add(tensor_name="t").quant_parameter_tensor_names.add(
        key="SCALE", value="w"
    )
    loaded = models.from_proto(described).model
    before = Remarks.of(loaded)
    gone = onnx.ModelProto()
    gone.CopyFrom(described)
    for node in gone.graph.node:
        node.doc_string = ""
        del node.metadata_props[:]
    del gone.graph.quantization_annotation[:]
    lines = before.lost(Remarks.of(models.from_proto(gone).model))
    assert lines == [
        "5 doc strings of nodes",
        "5 metadata entries of nodes: source",
        "1 quantization annotation: t",
    ]


def test_a_fused_node_says_what_the_last_one_said_and_the_report_lists_the_rest(
    described: onnx.ModelProto, tmp_path: Path
):
    path = tmp_path / "model.onnx"
    onnx.save(described, path)
    report = ncgopt.optimize(path, output=tmp_path / "out.onnx")
    fused = next(n for n in onnx.load(tmp_path / "out.onnx").graph.node if n.op_type != "Neg")
    assert fused.doc_string == "said 5"
    assert any("doc string" in line for line in report.lost)
    again = ncgopt.optimize(path, Settings(strip_debug=True), output=tmp_path / "bare.onnx")
    assert again.lost == []
    assert again.verification.status == "passed"
    assert b"said " not in (tmp_path / "bare.onnx").read_bytes()
