"""What the original computes, and all else that comparing whole models needs to know of it."""

from __future__ import annotations

import time
from dataclasses import dataclass

from ncgopt.verify.noise import NoiseMeter
from ncgopt.verify.original import Child
from ncgopt.verify.reference import Reference


@dataclass
class Baseline:
    """The original has run; its outputs are in the child.

    Attributes:
        reference: the original and the cases.
        random: outputs whose values are random.
        notes: what limits what the comparison can show.
        precision: `float64`, or why there are no outputs of that precision.
        noise: measures how far its outputs are from themselves.
    """

    reference: Reference
    random: tuple[str, ...]
    notes: list[str]
    precision: str
    noise: NoiseMeter

    @property
    def child(self) -> Child:
        """Where the outputs are."""
        return self.reference.child

    @classmethod
    def of(cls, reference: Reference) -> Baseline:
        """Run the original on its cases, and keep the outputs in the child.

        Raises:
            Undecided: it does not run again.
            WorkerDied: there is too little memory for it.
        """
        start = time.monotonic()
        random = reference.random(reference.record())
        names = ", ".join(random)
        notes = [f"random outputs, compared by shape and type only: {names}"] if random else []
        notes += reference.notes()
        precision = reference.record_precisely(time.monotonic() - start) or "float64"
        noise = NoiseMeter(
            reference.child, reference.path, reference.survey, random, reference.optimize,
            open=reference.open, record=reference.record,
        )  # fmt: skip
        return cls(reference, random, notes, precision, noise)
