import pytest

from ncgopt.pipeline.culprit import first_bad
from ncgopt.report import Rewrite

REWRITES = [Rewrite(i, f"rule-{i}", "somewhere") for i in range(37)]


@pytest.mark.parametrize("known_good", [0, 5, 20])
def test_every_single_culprit_is_found(known_good: int):
    for guilty in range(known_good, len(REWRITES)):
        asked: list[int] = []

        def good(count: int, guilty: int = guilty, asked: list[int] = asked) -> bool:
            asked.append(count)
            return count <= guilty

        assert first_bad(REWRITES, good, known_good) is REWRITES[guilty]
        assert len(asked) <= 6
        assert all(count > known_good for count in asked)


def test_of_two_that_are_wrong_together_the_second_is_blamed():
    assert first_bad(REWRITES, lambda count: not (count > 3 and count > 11)) is REWRITES[11]
