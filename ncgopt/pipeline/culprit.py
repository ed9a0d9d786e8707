"""Who is to blame: the first change after which the model is no longer good."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from ncgopt.report import Rewrite


def first_bad(rewrites: Sequence[Rewrite], is_good_after: Callable[[int], bool], good: int = 0) -> Rewrite:
    """The change with which the shortest bad prefix of the changes ends.

    Bisection over the number of changes, as `git bisect` does over commits: with a single guilty
    change it is found exactly; with several, one of them is; where it takes several together, the
    last of them.

    Args:
        rewrites: all changes, in order; with all of them the model is bad.
        is_good_after: whether the model is good when only the first n changes are made.
        good: a number of changes, fewer than there are, with which it is known to be.
    """
    bad = len(rewrites)
    while bad - good > 1:
        middle = (good + bad) // 2
        if is_good_after(middle):
            good = middle
        else:
            bad = middle
    return rewrites[bad - 1]
