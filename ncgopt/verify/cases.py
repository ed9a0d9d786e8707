"""One set of inputs, described so briefly that both processes can make it."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from pathlib import Path

from ncgopt.verify.feeds import Draw


@dataclass(frozen=True)
class Case:
    """How to make the inputs of one run.

    Attributes:
        binding: size per symbolic dimension.
        draw: how inputs are filled.
        overrides: inputs with a default that get another value than the default.
        file: the user's own inputs, instead of generated ones.
    """

    binding: tuple[tuple[str, int], ...] = ()
    draw: Draw = field(default_factory=Draw)
    overrides: tuple[str, ...] = ()
    file: Path | None = None

    @property
    def source(self) -> str:
        """Where the inputs come from, for the report."""
        origin = str(self.draw) if self.file is None else self.file.name
        if not self.overrides:
            return origin
        which = self.overrides[0] if len(self.overrides) == 1 else f"{len(self.overrides)} defaults"
        return f"{origin}, overriding {which}"

    def __str__(self) -> str:
        sizes = ", ".join(f"{name}={size}" for name, size in self.binding[:6])
        return self.source + (f" at {sizes}" if sizes else "")

    def with_jitter(self, units: float) -> Case:
        """The same case with float inputs moved by so many rounding errors."""
        return replace(self, draw=replace(self.draw, jitter=units))


@dataclass(frozen=True)
class Trial:
    """What the original did with one case.

    Attributes:
        refusal: why it did not run; None if it ran.
        crashed: whether it took the child process down, or ran out of time.
        digests: one per output; equal digests are equal bits.
        finites: per output, part of its float elements that are finite (1 where there are none).
        sketches: some elements of every output, always the same ones, to see what data changes.
    """

    refusal: str | None = None
    crashed: bool = False
    digests: tuple[bytes, ...] = ()
    finites: tuple[float, ...] = ()
    sketches: tuple[tuple[float, ...], ...] = ()

    @property
    def finite(self) -> float:
        """Part of the outputs that is finite, each output counting the same."""
        return sum(self.finites) / len(self.finites) if self.finites else 1.0
