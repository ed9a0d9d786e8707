"""Who is to blame: the first change after which the model no longer passes verification."""

from __future__ import annotations

from collections.abc import Callable

from ncgopt.report import Rewrite


def first_bad(rewrites: list[Rewrite], is_good_after: Callable[[int], bool]) -> Rewrite | None:
    """The change whose prefix of the pipeline is the shortest that fails.

    Bisection over the number of changes, as `git bisect` does over commits: with a single guilty
    change it is found exactly; with several, one of them is.

    Args:
        rewrites: all changes, in order; with all of them the model fails.
        is_good_after: whether the model passes when only the first n changes are made.

    Returns:
        The change, or None where the model fails even without any.
    """
    good, bad = 0, len(rewrites)
    if bad == 0 or not is_good_after(0):
        return None
    while bad - good > 1:
        middle = (good + bad) // 2
        if is_good_after(middle):
            good = middle
        else:
            bad = middle
    return rewrites[bad - 1]
