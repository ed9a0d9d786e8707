"""How each rule was shown to hold: kept in `justified.json`, which `make proofs` writes and `tests/proofs` checks.

A record that claims more or less than the proofs give fails there, so that it cannot be edited into a lie.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from functools import cache
from pathlib import Path

from ncgopt.records import record

RECORD = Path(__file__).with_name("justified.json")
KINDS: Mapping[str, str] = {
    "moves": "the same elements",
    "bits": "machine arithmetic",
    "reals": "real numbers",
    "tested": "tests",
}
"""What shows a firing case, from the strongest to the weakest, as the pages call it."""
MEANING: Mapping[str, str] = {
    "moves": "both sides, executed on symbols instead of numbers, put the same expression of the same elements into "
    "every place: proven bit for bit, for every value and every runtime that computes an operator the same way twice",
    "bits": "a solver for IEEE 754 floats and machine integers found no values for which a bit differs (payloads of "
    "NaN aside): proven for every value",
    "reals": "both sides are one function of real numbers, constants up to their rounding: proven but for rounding, "
    "overflow, infinities and NaN",
    "tested": "no proof; special values, random values and integers give the same on ONNX Runtime and on the reference "
    "implementation, at the level of the claim",
}


@record
class Justification:
    """How a rule was shown to hold.

    Attributes:
        cases: how many of its firing cases are shown by each kind of `KINDS`.
        laws: what the proofs take for granted of functions.
        integers: in how many cases integers give equal bits, although the claim allows rounding.
    """

    cases: Mapping[str, int]
    laws: tuple[str, ...]
    integers: int

    @property
    def summary(self) -> str:
        """One line for people."""
        total = sum(self.cases.values())
        parts = [f"{KINDS[kind]} ({self.cases[kind]} of {total} cases)" for kind in KINDS if self.cases.get(kind)]
        text = ", ".join(parts)
        if self.laws:
            text += f"; taken for granted: {'; '.join(self.laws)}"
        if self.integers:
            text += f"; bit-equal on integers ({self.integers} of {total} cases)"
        return text


@cache
def justifications() -> Mapping[str, Justification]:
    """By rule. A rule that is not there has not been looked at yet."""
    found = json.loads(RECORD.read_text(encoding="utf-8"))
    return {
        name: Justification(entry["cases"], tuple(entry.get("laws", ())), int(entry.get("integers", 0)))
        for name, entry in found.items()
    }
