"""Every rule is proven as far as its record says, and no further: the record cannot lie."""

from __future__ import annotations

import pytest

from ncgopt.rules.justification import justifications
from ncgopt.runtime import Worker
from proofs.record import RULE_BY_NAME, firing_cases, justify


@pytest.fixture(scope="module")
def worker():
    with Worker() as shared:
        yield shared


@pytest.mark.parametrize("name", RULE_BY_NAME)
def test_the_record_says_what_the_proofs_give(name: str, worker: Worker):
    assert justify(RULE_BY_NAME[name], firing_cases()[name], worker) == justifications().get(name), "run `make proofs`"


def test_the_record_holds_nothing_else():
    assert set(justifications()) == set(RULE_BY_NAME)
