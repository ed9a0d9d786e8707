"""The search for sizes, against models played by a function that accepts or refuses."""

import pytest

from ncgopt.verify.bindings import Search
from ncgopt.verify.inputs import Symbol, size_of, terms


def length(name, role="length", hints=()):
    return Symbol(name, role, name, hints)


def search(symbols, accepts, refusal="no", limit=600, pinned=None):
    """Run the search; `accepts` gets a binding. Returns what was chosen and how often it was asked."""
    asked = []

    def attempt(binding):
        asked.append(binding)
        return None if accepts(binding) else (refusal(binding) if callable(refusal) else refusal)

    chosen = Search(symbols, attempt, pinned or {}, lambda: len(asked) < limit).run()
    assert all(accepts(binding) for binding in chosen)
    return chosen, asked


def sizes(chosen, name):
    return {binding[name] for binding in chosen}


def test_no_symbols_is_one_empty_binding():
    assert search([], lambda _: True)[0] == [{}]
    assert search([], lambda _: False)[0] == []


def test_free_symbols_get_one_and_an_odd_number():
    chosen, asked = search([length("batch", "batch"), length("sequence")], lambda _: True)
    for name in ("batch", "sequence"):
        assert 1 in sizes(chosen, name)
        assert any(size > 1 and size % 2 for size in sizes(chosen, name))
    assert any(binding["batch"] != binding["sequence"] for binding in chosen)
    assert len(asked) < 10


def test_sum_of_two_others():
    symbols = [length("batch", "batch"), *map(length, ("sequence", "total", "past"))]
    chosen, _ = search(symbols, lambda b: b["total"] == b["past"] + b["sequence"])
    assert all(len(sizes(chosen, symbol.name)) >= 2 for symbol in symbols)


def test_equal_symbols_move_together():
    symbols = [length("a"), length("b"), length("c")]
    chosen, _ = search(symbols, lambda b: b["a"] == b["b"])
    assert all(len(sizes(chosen, name)) >= 2 for name in "abc")


def test_multiples_of_32():
    symbols = [length("n", "batch"), length("h", "spatial"), length("w", "spatial")]
    chosen, _ = search(symbols, lambda b: b["h"] % 32 == 0 and b["w"] % 32 == 0)
    assert all(len(sizes(chosen, name)) >= 2 for name in "nhw")


def test_number_in_the_refusal_is_tried():
    chosen, asked = search(
        [length("batch", "batch"), length("features")],
        lambda b: b["features"] == 1037,
        refusal=lambda b: f"Got: {b['features']} Expected: 1037",
        limit=200,
    )
    assert sizes(chosen, "features") == {1037}
    assert len(sizes(chosen, "batch")) == 2
    assert asked.index(next(b for b in asked if b["features"] == 1037)) < 6


def test_hint_of_a_weight_comes_first():
    chosen, asked = search([length("c", hints=(80,))], lambda b: b["c"] == 80)
    assert asked[0] == {"c": 80}
    assert chosen == [{"c": 80}]


def test_pinned_sizes_stay():
    chosen, asked = search([length("batch", "batch"), length("s")], lambda _: True, pinned={"batch": 7})
    assert sizes(asked, "batch") == {7}
    assert len(sizes(chosen, "s")) >= 2


def test_wrong_guess_of_a_group_is_taken_back():
    first, second = (Symbol(f"past.{i}[2]", "length", "past.#[2]") for i in (0, 1))
    chosen, _ = search([first, second], lambda b: b["past.1[2]"] == b["past.0[2]"] + 1)
    assert chosen


def test_budget_ends_a_hopeless_search():
    chosen, asked = search([length("a"), length("b"), length("c")], lambda _: False, limit=50)
    assert chosen == []
    assert len(asked) == 50


@pytest.mark.parametrize(
    ("dim", "found"),
    [
        ("batch", {"batch"}),
        ("past + sequence", {"past", "sequence"}),
        ("2*s0 + 1", {"s0"}),
        ("floor(s0)", {"floor(s0)"}),
        ("width/8", {"width"}),
        ("a b c", {"a b c"}),
        ("7", {"7"}),
    ],
)
def test_terms_of_expressions(dim, found):
    assert terms(dim) == found


def test_expression_over_unknown_names_is_a_name():
    assert terms("batch-size", frozenset({"batch"})) == {"batch-size"}
    assert terms("past+new", frozenset({"past", "new"})) == {"past", "new"}


def test_size_of_expressions():
    assert size_of("past + 2*new", {"past": 3, "new": 4}) == 11
    assert size_of("batch-size", {"batch-size": 5}) == 5
    with pytest.raises(KeyError):
        size_of("missing", {})
