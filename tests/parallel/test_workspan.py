"""Work, span and schedules of small and random graphs."""

import onnx
import onnx_ir as ir
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ncgopt.parallel import Step, schedule, speedup, svg, work_span
from ncgopt.parallel.modelled import modelled_steps

DIAMOND = [Step("a", "A", 1, ()), Step("b", "B", 2, (0,)), Step("c", "C", 5, (0,)), Step("d", "D", 1, (1, 2))]


def test_a_diamond():
    found = work_span(DIAMOND)
    assert (found.work, found.span, found.critical, found.level, found.depth) == (9, 7, (0, 2, 3), (1, 2), 3)
    assert found.parallelism == pytest.approx(9 / 7)
    assert speedup(DIAMOND, 2) == pytest.approx(9 / 7)
    picture = svg(DIAMOND, found, "a <title>")
    assert picture.count("<rect") == 4
    assert "a &lt;title&gt;" in picture


def test_nothing():
    found = work_span([])
    assert (found.work, found.parallelism, found.critical) == (0, 1.0, ())
    assert schedule([], 2) == []
    assert svg([], found, "").startswith("<svg")


@st.composite
def graphs(draw):
    steps = []
    for place in range(draw(st.integers(1, 14))):
        after = draw(st.sets(st.integers(0, place - 1), max_size=3)) if place else set()
        steps.append(Step(str(place), "Op", draw(st.integers(0, 9)), tuple(sorted(after))))
    return steps


@settings(max_examples=60, deadline=None)
@given(graphs(), st.integers(1, 5))
def test_schedules_are_possible_and_no_longer_than_grahams_bound(steps, workers):
    found, slots = work_span(steps), schedule(steps, workers)
    assert sorted(slot.step for slot in slots) == list(range(len(steps)))
    ends = {slot.step: slot.end for slot in slots}
    for slot in slots:
        assert all(ends[needed] <= slot.start for needed in steps[slot.step].after)
        others = [one for one in slots if one.worker == slot.worker and one is not slot]
        assert all(one.end <= slot.start or one.start >= slot.end for one in others)
    end = max(ends.values())
    assert max(found.span, found.work / workers) - 1e-9 <= end
    assert end <= found.work / workers + (1 - 1 / workers) * found.span + 1e-9


def steps_of(text, **binding):
    model = ir.from_proto(onnx.parser.parse_model(f'<ir_version: 10, opset_import: ["" : 21]> {text}'))
    return modelled_steps(model, binding)


def test_branches_of_a_model():
    steps = steps_of(
        "g (float[N, 64] x, float[64, 64] w) => (float[N, 64] y) { a = MatMul(x, w)  b = MatMul(x, w)  y = Add(a, b) }",
        N=512,
    )
    assert [step.operator for step in steps] == ["MatMul", "MatMul", "Add"]
    assert steps[2].after == (0, 1)
    assert 1.6 < work_span(steps).parallelism < 2
    assert steps[0].seconds > 20 * steps_of("g (float[N, 64] x) => (float[N, 64] y) { y = Neg(x) }")[0].seconds


def test_what_works_on_constants_alone_does_not_count():
    steps = steps_of(
        "g (float[2] x) => (float[2] y) <float[2] c = {1.0, 2.0}> { k = Exp(c)  r = RandomNormal <shape = [2]> ()  a = Add(x, k)  y = Add(a, r) }"
    )
    assert [step.operator for step in steps] == ["RandomNormal", "Add", "Add"]


def test_a_body_needs_what_it_captures():
    steps = steps_of(
        """g (float[2] x, bool c) => (float[2] y) {
            a = Exp(x)
            y = If (c) <
                then_branch = t () => (float[2] p) { b = Neg(a)  p = Abs(b) },
                else_branch = e () => (float[2] q) { q = Identity(a) }
            >
        }"""
    )
    assert [(step.operator, step.after) for step in steps] == [("Exp", ()), ("If", (0,))]
    assert steps[1].seconds > steps[0].seconds
