"""How much the facts see of a model, and where they say that they lost the thread."""

from __future__ import annotations

import onnx_ir as ir
import pytest

from ncgopt import facts
from ncgopt.facts.coverage import coverage


def covered(text: str):
    model = ir.from_onnx_text(text)
    for node in ir.traversal.RecursiveGraphIterator(model.graph):
        node.version = 21
    facts.survey(model)
    return coverage(model)


def test_a_model_without_secrets():
    found = covered("""
        <ir_version: 10, opset_import: ["" : 21]>
        g (float[N, 4] x) => (float[N, 4] y) { s = Shape(x)  t = Concat<axis = 0>(s)  y = Relu(x) }
    """)
    assert (found.values, found.shapes, found.types) == (3, 3, 3)
    assert (found.small_integers, found.contents) == (2, 2)
    assert not found.lost


def test_the_first_unknown_is_named_and_what_follows_is_not():
    found = covered("""
        <ir_version: 10, opset_import: ["" : 21]>
        g (float[N] x) => (float[M] y) { i = NonZero(x)  j = Neg(i)  y = Cast<to = 1>(j) }
    """)
    shapes = [one for one in found.lost if one.what == "shape"]
    # Whatever is known of the result of NonZero, nothing behind it is where the thread is lost.
    assert {one.value for one in shapes} <= {"i"}
    assert found.types == found.values == 3


def test_a_shape_that_hangs_on_contents_names_the_tensor_that_holds_them():
    found = covered("""
        <ir_version: 10, opset_import: ["" : 21]>
        g (float[N, 4] x, int64[2] target) => (float[A, B] y) { t = Neg(target)  y = Reshape(x, t) }
    """)
    lost = {one.what: one for one in found.lost}
    assert lost["shape"].value == "y"
    assert (lost["shape"].operator, lost["shape"].cause) == ("Reshape", "target")


@pytest.mark.parametrize("operator", ["SequenceConstruct", "Optional"])
def test_what_is_no_tensor_does_not_count(operator: str):
    found = covered(f"""
        <ir_version: 10, opset_import: ["" : 21]>
        g (float[N] x) => (float[N] y) {{ s = {operator}(x)  y = Relu(x) }}
    """)
    assert (found.values, found.shapes) == (1, 1)


def test_constants_do_not_flatter():
    found = covered("""
        <ir_version: 10, opset_import: ["" : 21]>
        g (float[N] x) => (float[N] y) { k = Constant<value_float = 1.0>()  y = Add(x, k) }
    """)
    assert found.values == 1


def test_the_thread_may_be_lost_at_what_comes_out_of_a_sequence():
    found = covered("""
        <ir_version: 10, opset_import: ["" : 21]>
        g (float[N] x, float[M] w, int64 i) => (float[K] y) { s = SequenceConstruct(x, w)  e = SequenceAt(s, i)  y = Relu(e) }
    """)
    assert found.shapes < found.values
    assert [one.value for one in found.lost if one.what == "shape"] == ["e"]
