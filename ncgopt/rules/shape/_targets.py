"""Writing the target of a Reshape as a constant."""

from __future__ import annotations

from ncgopt import facts
from ncgopt.records import record


@record
class Target:
    """A constant target: sizes, 0 for a copied dimension, -1 for one that follows from the others.

    `inferred` is the place of a -1 that stands for a size, None where there is none; runtimes refuse
    one beside a dimension of 0.
    """

    numbers: tuple[int, ...]
    inferred: int | None

    @property
    def others_positive(self) -> bool:
        """Whether all dimensions beside an inferred one are known not to be 0."""
        return self.inferred is None or all(n > 0 for i, n in enumerate(self.numbers) if i != self.inferred)


def constant_target(sizes: facts.Shape, own: facts.Shape | None) -> Target | None:
    """The target that gives a tensor of shape `own` the shape `sizes`; a -1 in it stays one, a 0 copies.

    None where two sizes are neither known nor the tensor's own in the same place.
    """
    own = own or ()
    numbers: list[int] = []
    inferred: int | None = None
    for place, size in enumerate(sizes):
        if isinstance(size, int) and size >= -1:
            numbers.append(size)
        elif size is not None and not isinstance(size, int) and place < len(own) and own[place] == size:
            numbers.append(0)
        elif -1 in numbers or -1 in sizes:
            return None
        else:
            inferred = place
            numbers.append(-1)
    return Target(tuple(numbers), inferred)
