"""A contract notices every change that a user of the model could notice, and no other."""

from __future__ import annotations

from collections.abc import Callable

import onnx
import pytest

from ncgopt.model import Contract

MODEL = """
<ir_version: 10, opset_import: ["" : 21, "acme" : 2], producer_name: "p", producer_version: "1", domain: "d",
 model_version: 3, doc_string: "text", metadata_props: ["author": "me"]>
g (float[batch, 4] x, float[4] w = {1, 2, 3, 4}) => (float[batch, 4] y, float[batch, 4] z) <float k = {2}> {
  y = Mul(x, w)  z = Mul(x, k)
}
"""


def changed(change: Callable[[onnx.ModelProto], object]) -> tuple[str, ...]:
    before, after = onnx.parser.parse_model(MODEL), onnx.parser.parse_model(MODEL)
    change(after)
    return Contract.of(before).differences(Contract.of(after))


def swap_outputs(model: onnx.ModelProto) -> None:
    first, second = model.graph.output[0], model.graph.output[1]
    first.name, second.name = second.name, first.name


def set_dim(value: onnx.ValueInfoProto, index: int, **dim: object) -> None:
    value.type.tensor_type.shape.dim[index].CopyFrom(onnx.TensorShapeProto.Dimension(**dim))


NOTICED = {
    "input 'x' is missing": lambda m: (m.graph.input[0].__setattr__("name", "q"), rename_uses(m, "x", "q")),
    "output 'z' is missing": lambda m: m.graph.output.pop(),
    "outputs are in another order": swap_outputs,
    "input 'x': FLOAT[n,4] instead of FLOAT[batch,4]": lambda m: set_dim(m.graph.input[0], 0, dim_param="n"),
    "input 'x': FLOAT[2,4] instead of FLOAT[batch,4]": lambda m: set_dim(m.graph.input[0], 0, dim_value=2),
    "output 'y': DOUBLE": lambda m: m.graph.output[0].type.tensor_type.__setattr__("elem_type", 11),
    "overridable initializer 'w': another default value": lambda m: initializer(m, "w").float_data.__setitem__(0, 9),
    "overridable initializer 'w' is missing": lambda m: m.graph.input.pop(),
    "operator set ai.onnx: version 20": lambda m: m.opset_import[0].__setattr__("version", 20),
    "operator set acme: no import": lambda m: m.opset_import.pop(),
    "producer_name differs": lambda m: m.__setattr__("producer_name", "q"),
    "domain differs": lambda m: m.__setattr__("domain", "e"),
    "model_version differs": lambda m: m.__setattr__("model_version", 4),
    "doc_string differs": lambda m: m.__setattr__("doc_string", ""),
    "ir_version differs": lambda m: m.__setattr__("ir_version", 9),
    "metadata_props differs": lambda m: m.metadata_props[0].__setattr__("value", "you"),
    "graph: name differs": lambda m: m.graph.__setattr__("name", "h"),
}


def rename_uses(model: onnx.ModelProto, old: str, new: str) -> None:
    for node in model.graph.node:
        node.input[:] = [new if name == old else name for name in node.input]


def initializer(model: onnx.ModelProto, name: str) -> onnx.TensorProto:
    return next(t for t in model.graph.initializer if t.name == name)


@pytest.mark.parametrize("line", NOTICED)
def test_noticed(line: str):
    found = changed(NOTICED[line])
    assert any(line in one for one in found), found


@pytest.mark.parametrize(
    "change",
    [
        lambda m: None,
        lambda m: m.graph.node[0].__setattr__("name", "other"),
        lambda m: initializer(m, "k").float_data.__setitem__(0, 5.0),
        lambda m: m.opset_import.add(domain="com.microsoft", version=1),
    ],
    ids=["nothing", "a node's name", "an inner weight", "a further operator set"],
)
def test_not_noticed(change: Callable[[onnx.ModelProto], object]):
    assert changed(change) == ()


def test_bind_pins_everywhere():
    bound = Contract.of(onnx.parser.parse_model(MODEL)).bind({"batch": 7})
    pinned = Contract.of(onnx.parser.parse_model(MODEL.replace("batch", "7")))
    assert bound.differences(pinned) == ()
    assert pinned.differences(Contract.of(onnx.parser.parse_model(MODEL)))
