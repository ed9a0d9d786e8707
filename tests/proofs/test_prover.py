"""The prover refutes what is wrong, and proves no more than there is."""

from __future__ import annotations

import onnx
import pytest
from case_file import Case, all_cases

from ncgopt import model as models
from ncgopt.errors import UnsoundRewrite
from ncgopt.rewrite import Claim, Engine, Requires, Session
from ncgopt.runtime import Worker
from ncgopt.settings import Target
from proofs.prove import BITS, MOVES, REALS, TESTED, Refuted, prove
from proofs.record import RULE_BY_NAME

_HEAD = '<ir_version: 10, opset_import: ["" : 21]> '


def model(text: str, signature: str) -> onnx.ModelProto:
    return onnx.parser.parse_model(_HEAD + f"g {signature} {text}")


_PLANTED = {
    "the wrong axes": (
        "(float[2, 3, 4] x) => (float[3, 4, 2] y)",
        "{ t = Transpose<perm = [1, 0, 2]>(x)  y = Transpose<perm = [0, 2, 1]>(t) }",
        "{ y = Transpose<perm = [2, 1, 0]>(x) }",
    ),
    "the wrong end of a Slice": (
        "(float[5] x) => (float[N] y)",
        "<int64[1] a = {1}, int64[1] b = {4}> { t = Slice(x, a, b)  y = Slice(t, a, b) }",
        "<int64[1] a = {2}, int64[1] b = {5}> { y = Slice(x, a, b) }",
    ),
    "operands of a Concat swapped": (
        "(float[2] a, float[2] b) => (float[4] y)",
        "{ y = Concat<axis = 0>(a, b) }",
        "{ y = Concat<axis = 0>(b, a) }",
    ),
    "operands of a Sub swapped": (
        "(float[2] a, float[2] b) => (float[2] y)",
        "{ y = Sub(a, b) }",
        "{ y = Sub(b, a) }",
    ),
    "a sign lost": (
        "(float[2] a, float[2] b) => (float[2] y)",
        "{ t = Neg(b)  y = Add(a, t) }",
        "{ y = Add(a, b) }",
    ),
    "a Relu dropped": (
        "(float[2, 2] a, float[2, 2] b) => (float[2, 2] y)",
        "{ t = MatMul(a, b)  y = Relu(t) }",
        "{ y = MatMul(a, b) }",
    ),
    "a bias that is not scaled": (
        "(float[1, 2] a, float[2, 2] b, float[2] c) => (float[1, 2] y)",
        "<float two = {2}> { t = MatMul(a, b)  u = Add(t, c)  y = Mul(u, two) }",
        "<float two = {2}> { t = MatMul(a, b)  u = Mul(t, two)  y = Add(u, c) }",
    ),
    "a product in the wrong order": (
        "(float[2, 2] a, float[2, 2] b) => (float[2, 2] y)",
        "{ y = MatMul(a, b) }",
        "{ y = MatMul(b, a) }",
    ),
    "padding of a Conv left out": (
        "(float[1, 1, 4] x) => (float[1, 1, N] y)",
        "<float[1, 1, 2] w = {1, 2}, int64[6] p = {0, 0, 1, 0, 0, 0}> { t = Pad(x, p)  y = Conv(t, w) }",
        "<float[1, 1, 2] w = {1, 2}> { y = Conv<pads = [0, 1]>(x, w) }",
    ),
    "the padding counted in a mean": (
        "(float[1, 1, 4] x) => (float[1, 1, N] y)",
        "{ y = AveragePool<kernel_shape = [2], pads = [1, 0]>(x) }",
        "{ y = AveragePool<kernel_shape = [2], pads = [1, 0], count_include_pad = 1>(x) }",
    ),
    "a Clip that is too wide": (
        "(float[2] x) => (float[2] y)",
        "<float a = {0}, float b = {6}> { t = Relu(x)  y = Clip(t, , b) }",
        "<float a = {-1}, float b = {6}> { y = Clip(x, a, b) }",
    ),
    "the branches of a Where swapped": (
        "(bool[2] c, float[2] a, float[2] b) => (float[2] y)",
        "{ n = Not(c)  y = Where(n, a, b) }",
        "{ y = Where(c, a, b) }",
    ),
    "the slope on the wrong side": (
        "(float[2] x) => (float[2] y)",
        "<float zero = {0}, float half = {0.5}> { c = Less(x, zero)  t = Mul(x, half)  y = Where(c, x, t) }",
        "{ y = LeakyRelu<alpha = 0.5>(x) }",
    ),
    "rows of indices mistaken for columns": (
        "(float[2, 2] x, int64[2] k) => (float[2, 2] y)",
        "{ y = Gather<axis = 0>(x, k) }",
        "{ y = Gather<axis = 1>(x, k) }",
    ),
}
_PLANTED_EXACT = {
    "positive zero is not neutral": (
        "(float[2] x) => (float[2] y)",
        "<float zero = {0.0}> { y = Add(x, zero) }",
        "{ y = Identity(x) }",
    ),
    "a reciprocal that is rounded": (
        "(float16[2] x) => (float16[2] y)",
        "<float three = {3}> { k = Cast<to = 10>(three)  y = Div(x, k) }",
        "<float third = {0.33333334}> { k = Cast<to = 10>(third)  y = Mul(x, k) }",
    ),
    "a sum in another order": (
        "(float16[1] a, float16[1] b, float16[1] c) => (float16[1] y)",
        "{ t = Add(a, b)  y = Add(t, c) }",
        "{ t = Add(b, c)  y = Add(a, t) }",
    ),
    "not less is not greater, for NaN": (
        "(float[2] a, float[2] b) => (bool[2] y)",
        "{ t = Less(a, b)  y = Not(t) }",
        "{ y = GreaterOrEqual(a, b) }",
    ),
    "a narrower integer in between": (
        "(int32[2] x) => (int64[2] y)",
        "{ t = Cast<to = 5>(x)  y = Cast<to = 7>(t) }",
        "{ y = Cast<to = 7>(x) }",
    ),
    "a zero point that is off by one": (
        "(uint8[2] x) => (uint8[2] y)",
        "<float s = {0.3}, uint8 z = {7}, uint8 w = {8}> { t = DequantizeLinear(x, s, z)  y = QuantizeLinear(t, s, w) }",
        "{ y = Identity(x) }",
    ),
    "a Clip that cuts what can be quantized": (
        "(float[2] x) => (uint8[2] y)",
        "<float a = {0}, float b = {6}, float s = {0.5}, uint8 z = {0}> { t = Clip(x, a, b)  y = QuantizeLinear(t, s, z) }",
        "<float s = {0.5}, uint8 z = {0}> { y = QuantizeLinear(x, s, z) }",
    ),
}


@pytest.mark.parametrize("claim", [Claim.EXACT, Claim.ROUNDS])
@pytest.mark.parametrize("name", _PLANTED)
def test_a_wrong_rewrite_is_refuted(name: str, claim: Claim):
    signature, before, after = _PLANTED[name]
    with pytest.raises(Refuted):
        prove(model(before, signature), model(after, signature), claim)


@pytest.mark.parametrize("name", _PLANTED_EXACT)
def test_a_rewrite_that_is_wrong_in_its_bits_is_refuted(name: str):
    signature, before, after = _PLANTED_EXACT[name]
    with pytest.raises(Refuted):
        prove(model(before, signature), model(after, signature), Claim.EXACT)


@pytest.mark.parametrize(
    ("claim", "kind", "signature", "before", "after"),
    [
        (Claim.EXACT, MOVES, "(float[2, N] x) => (float[N, 2] y)", "{ t = Neg(x)  y = Transpose(t) }", "{ t = Transpose(x)  y = Neg(t) }"),
        (Claim.EXACT, BITS, "(float[N] x) => (float[N] y)", "<float two = {2}> { y = Mul(x, two) }", "{ y = Add(x, x) }"),
        (Claim.ROUNDS, REALS, "(float[N] x) => (float[N] y)", "<float three = {3}> { y = Mul(x, three) }", "{ t = Add(x, x)  y = Add(t, x) }"),
        (Claim.EXACT, TESTED, "(float[4] x) => (float y)", "{ y = ReduceSum<keepdims = 0>(x) }", "<int64[2] s = {2, 2}> { t = Reshape(x, s)  u = Transpose(t)  y = ReduceSum<keepdims = 0>(u) }"),
    ],
)  # fmt: skip
def test_each_theory(claim: Claim, kind: str, signature: str, before: str, after: str):
    assert prove(model(before, signature), model(after, signature), claim).kind == kind


def test_shapes_that_differ_refute():
    signature = "(float[2, 3] x) => (float[N] y)"
    with pytest.raises(Refuted, match="type"):
        prove(
            model("{ y = Flatten<axis = 0>(x) }", signature),
            model("{ y = Flatten<axis = 1>(x) }", signature),
            Claim.EXACT,
        )


_OF_THE_RUNTIME = {
    ("fuse-gemm-relu", "fused-kernel"),
    ("replace-cast-like", "default-rounding"),
    ("eliminate-expand-before-broadcast", "zeros-alike"),
}
"""Guards that a kernel needs which is missing, or does not do what its specification says."""


def guarded() -> list[Case]:
    """The cases in which a guard keeps an exact rule from changing bits."""
    found = []
    for case in all_cases():
        rule = RULE_BY_NAME.get(case.subject)
        if case.verdict != "refuses" or rule is None or rule.claim is not Claim.EXACT:
            continue
        guards = {guard.name for guard in rule.requires if isinstance(guard, Requires)}
        if case.guard in guards and (rule.name, case.guard) not in _OF_THE_RUNTIME:
            found.append(case)
    return found


@pytest.mark.parametrize("case", guarded(), ids=str)
def test_without_its_guard_an_exact_rule_is_not_proven(case: Case):
    rule = RULE_BY_NAME[case.subject]
    before = onnx.parser.parse_model(case.source)
    changed = models.from_proto(before).model
    with Worker() as worker:
        Session(changed, worker=worker)
        try:
            Engine([rule], Target(case.target), without=frozenset({(rule.name, case.guard)})).run(changed)
        except (UnsoundRewrite, ValueError, TypeError, IndexError):
            return  # the engine keeps it from happening
    try:
        assert prove(before, models.to_proto(changed), Claim.EXACT).kind == TESTED
    except Refuted:
        return
