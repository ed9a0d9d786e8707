from ncgopt.pipeline.culprit import first_bad
from ncgopt.report import Rewrite

REWRITES = [Rewrite(i, f"rule-{i}", "somewhere") for i in range(37)]


def test_every_single_culprit_is_found():
    for guilty in range(len(REWRITES)):
        asked: list[int] = []

        def good(count: int, guilty: int = guilty, asked: list[int] = asked) -> bool:
            asked.append(count)
            return count <= guilty

        assert first_bad(REWRITES, good) is REWRITES[guilty]
        assert len(asked) <= 7


def test_no_rewrite_is_to_blame():
    assert first_bad(REWRITES, lambda count: False) is None
    assert first_bad([], lambda count: False) is None
