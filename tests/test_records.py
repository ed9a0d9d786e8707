"""A record is a frozen dataclass, from its first instance on, whoever comes first."""

import dataclasses
import sys
import threading
from concurrent.futures import ThreadPoolExecutor

import pytest

from ncgopt.records import record


def _pair():
    @record
    class Pair:
        """Two."""

        left: int
        right: int = 2

        @property
        def total(self) -> int:
            return self.left + self.right

    return Pair


def test_it_is_made_by_the_first_instance():
    pair = _pair()
    assert not dataclasses.is_dataclass(pair)
    one = pair(1)
    assert dataclasses.is_dataclass(pair)
    assert (one, one.total, repr(one).endswith("Pair(left=1, right=2)")) == (pair(1, right=2), 3, True)
    assert hash(one) == hash(pair(1, 2))
    assert dataclasses.replace(one, left=5) == pair(5)


def test_it_is_frozen():
    one = _pair()(1)
    with pytest.raises(dataclasses.FrozenInstanceError):
        one.left = 3


def test_wrong_arguments_are_refused_from_the_first_call_on():
    pair = _pair()
    for _ in range(2):
        with pytest.raises(TypeError, match="left"):
            pair()


@pytest.mark.parametrize("decorate", [record, dataclasses.dataclass(frozen=True)])
def test_a_subclass_has_the_fields_of_its_base(decorate):
    @decorate
    class Triple(_pair()):
        third: int = 3

    assert [field.name for field in dataclasses.fields(Triple(1))] == ["left", "right", "third"]
    assert Triple(1, 2, 4).third == 4


def test_a_plain_subclass_is_fine():
    class Named(_pair()):
        @property
        def name(self) -> str:
            return "pair"

    assert (Named(1).name, Named(1).total) == ("pair", 3)
    assert Named(1) == Named(1)


def test_a_subclass_of_a_subclass_made_in_any_order():
    base = _pair()

    @record
    class Middle(base):
        third: int = 3

    @record
    class Last(Middle):
        fourth: int = 4

    assert dataclasses.astuple(Last(1)) == (1, 2, 3, 4)
    assert dataclasses.astuple(Middle(1)) == (1, 2, 3)


def test_the_first_instance_may_come_out_of_a_pickle():
    """It makes instances without `__init__`; between processes, the receiving one may have made none before."""
    pair = _pair()
    one = pair.__new__(pair)
    vars(one).update(left=1, right=2)
    assert dataclasses.replace(one, left=5) == pair(5)


def test_two_threads_may_make_the_first_instances():
    interval = sys.getswitchinterval()
    sys.setswitchinterval(1e-6)
    try:
        for _ in range(50):
            pair, together = _pair(), threading.Barrier(4)

            def make(left, pair=pair, together=together):
                together.wait()
                return pair(left).total

            with ThreadPoolExecutor(4) as pool:
                assert list(pool.map(make, range(4))) == [2, 3, 4, 5]
    finally:
        sys.setswitchinterval(interval)
