"""Changes that are not made, because they, or changes like them, were at fault before."""

from __future__ import annotations

from ncgopt.records import record


@record
class Avoided:
    """What to leave out.

    Attributes:
        places: rules and passes with a place each, see `place_of`.
        sources: rules and passes that are left out everywhere.
    """

    places: frozenset[tuple[str, str]] = frozenset()
    sources: frozenset[str] = frozenset()

    def covers(self, source: str, where: str) -> bool:
        """Whether a change by `source` at `where` is left out."""
        return source in self.sources or (source, place_of(where)) in self.places

    def at(self, source: str, where: str) -> Avoided:
        """The same, and `source` at the place of `where`."""
        return Avoided(self.places | {(source, place_of(where))}, self.sources)

    def everywhere(self, source: str) -> Avoided:
        """The same, and all that `source` does."""
        return Avoided(self.places, self.sources | {source})


def place_of(where: str) -> str:
    """`where` without the operator: `Neg a` -> `a`.

    What a rule puts in place of a node has the name of that node, and often another operator. What
    the rule would do there next is a sibling of what it did.
    """
    words = where.split(" ")
    return words[1] if len(words) == 2 else where
