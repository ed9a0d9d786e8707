"""Arithmetic on sizes, against plain integers at random bindings."""

from __future__ import annotations

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from ncgopt.facts import caps, symbols

NAMES = ("a", "b", "c", "<'x.1'>")
SIZES = st.fixed_dictionaries(
    {"a": st.integers(1, 9), "b": st.integers(1, 9), "c": st.integers(1, 9), "x.1": st.integers(1, 9)}
)
LEAVES = st.one_of(st.sampled_from(NAMES), st.integers(0, 5))
BINARY = {
    "add": (symbols.add, lambda x, y: x + y),
    "sub": (symbols.sub, lambda x, y: x - y),
    "mul": (symbols.mul, lambda x, y: x * y),
    "max": (symbols.maximum, max),
    "min": (symbols.minimum, min),
    "floor": (symbols.floor_div, lambda x, y: x // y),
    "mod": (symbols.modulo, lambda x, y: x % y),
}
TREES = st.recursive(LEAVES, lambda inner: st.tuples(st.sampled_from(sorted(BINARY)), inner, inner), max_leaves=8)


def symbolic(tree):
    if not isinstance(tree, tuple):
        return tree
    return BINARY[tree[0]][0](symbolic(tree[1]), symbolic(tree[2]))


def number(tree, sizes):
    if not isinstance(tree, tuple):
        return symbols.evaluate(tree, sizes)
    return BINARY[tree[0]][1](number(tree[1], sizes), number(tree[2], sizes))


@settings(deadline=None, suppress_health_check=[HealthCheck.too_slow])  # a busy machine says nothing about symbols
@given(TREES, SIZES)
def test_expressions_are_what_they_were_computed_from(tree, sizes):
    found = symbolic(tree)
    try:
        expected = number(tree, sizes)
    except ZeroDivisionError:
        return  # no run comes to an end there, so nothing has to hold, not even of 0 * (a / 0)
    if found is not None:
        assert symbols.evaluate(found, sizes) == expected


@settings(deadline=None, suppress_health_check=[HealthCheck.too_slow])  # a busy machine says nothing about symbols
@given(TREES, TREES, SIZES)
def test_comparisons_hold(one, other, sizes):
    a, b = symbolic(one), symbolic(other)
    if a is None or b is None:
        return
    x, y = symbols.evaluate(a, sizes), symbols.evaluate(b, sizes)
    assert not (symbols.differ(a, b) and x == y)
    assert a != b or x == y
    assert not symbols.is_at_least(symbols.sub(a, b), 0) or x >= y


@settings(deadline=None, suppress_health_check=[HealthCheck.too_slow])  # a busy machine says nothing about symbols
@given(TREES, TREES, SIZES)
def test_a_product_divides_again(one, other, sizes):
    a, b = symbolic(one), symbolic(other)
    product = symbols.mul(a, b)
    quotient = symbols.exact_div(product, b)
    if quotient is not None and symbols.evaluate(b, sizes):
        assert symbols.evaluate(quotient, sizes) == symbols.evaluate(a, sizes)


@settings(deadline=None, suppress_health_check=[HealthCheck.too_slow])  # a busy machine says nothing about symbols
@given(TREES, SIZES)
def test_text_is_canonical(tree, sizes):
    found = symbolic(tree)
    if isinstance(found, str):
        assert symbols.declared(found) == found


@pytest.mark.parametrize(
    ("a", "b", "both"),
    [
        ("a", 1, "a"),
        ("a", 7, 7),
        ("a", 0, 0),
        ("a", "a + 2", "a + 2"),
        ("min(512, a)", "a", "a"),
        ("a", "b", "broadcast(a, b)"),
        ("broadcast(a, b)", "b", "broadcast(a, b)"),
        ("min(1, a)", "a", "a"),
    ],
)
def test_broadcasting(a, b, both):
    assert symbols.broadcast(a, b) == symbols.broadcast(b, a) == both


def test_names_that_are_no_words_stay_apart_from_ours():
    assert symbols.declared("past + 1") == symbols.declared("1+past") == "past + 1"
    assert symbols.declared("?") != symbols.fresh("")
    assert symbols.declared("x.0") != symbols.unnamed("x", 0)
    assert symbols.is_vague(symbols.add("a", symbols.fresh("3")))
    assert not symbols.is_vague(symbols.declared("?3"))


def test_what_was_cut_to_a_length_and_fits_it_was_long_enough():
    cut = symbols.sub(symbols.minimum(8, "a + 1"), symbols.minimum(8, "a"))
    assert caps.under_cap(symbols.maximum(cut, 0), "a + 1", 8) == 1
    assert caps.under_cap("min(8, b)", "a", 8) == "min(8, b)"
    assert caps.under_cap("min(4, a)", "a", 8) == "min(4, a)"


def test_of_two_numbers_in_nested_calls_one_remains():
    assert symbols.minimum(512, symbols.minimum(9999, "s")) == "min(512, s)"
    assert symbols.minimum(symbols.minimum("s", 8), 512) == "min(8, s)"
    assert symbols.maximum(8, symbols.maximum("s", 512)) == "max(512, s)"
    assert symbols.minimum(8, symbols.minimum("s", "t")) == "min(8, min(s, t))"
