"""Costs compared under symbolic sizes."""

from __future__ import annotations

from ncgopt.cost import falls, never_rises, product_cost


def test_numbers_are_compared_as_they_are():
    assert falls(10, 9)
    assert not falls(10, 10)
    assert never_rises(10, 9)
    assert not never_rises(10, 10)


def test_a_symbol_must_fall_at_every_size():
    assert falls("4*n", "2*n")
    assert not falls("n*n", "8*n"), "more work for short sequences"
    assert not never_rises("n*n", "8*n")
    assert never_rises("8*n", "8")
    assert not falls("8*n", "8"), "the same for a single one"


def test_unknown_is_no():
    assert not falls(None, 1)
    assert not falls(8, None)
    assert not falls("n", "<?x>*n")


def test_names_that_are_no_words():
    assert falls("4*<'a-b'>", "2*<'a-b'>")


def test_many_symbols_are_tried_together():
    assert falls("2*a*b*c*d", "a*b*c*d")


def test_products():
    assert product_cost((2, "n", 3), 5) == "60*n"
