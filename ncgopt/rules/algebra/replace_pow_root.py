"""Take square roots instead of raising to a half, and squares instead of raising to four."""

from __future__ import annotations

from collections.abc import Sequence

import onnx_ir as ir

from ncgopt.facts.ranges import interval
from ncgopt.records import record
from ncgopt.rewrite import Claim, Requires, Rule, Tape
from ncgopt.rules.algebra import _powers

_EXPONENTS = (0.5, -0.5, 1.5, 4.0)


@record
class Match(_powers.Match):
    """`out = Pow(x, power)`."""

    power: float

    @property
    def in_domain(self) -> bool:
        """Whether the root is that of no negative number; and of none of the zeros, where it divides."""
        low = interval(self.x).low
        return self.power == 4 or low > 0 or (low == 0 and self.power > 0)


class ReplacePowRoot(Rule[Match]):
    """`Pow(x, 0.5)` becomes `Sqrt(x)`; x ** -0.5, x ** 1.5 and x ** 4 likewise become roots and products.

    Where x is proven not to be negative: Pow(-inf, 0.5) is inf, Sqrt(-inf) NaN, and of -0.0 the roots
    differ in sign. ONNX Runtime calls `pow` for every element, which takes 5 to 13 times as long (1.32,
    1 thread, `make bench-rules`).
    """

    name = "replace-pow-root"
    claim = Claim.ROUNDS
    root = "Pow"
    since_opset = 7
    requires = (
        _powers.NO_BROADCAST,
        Requires[Match]("in-domain", "a power of minus infinity is infinite, a root of it NaN", lambda m: m.in_domain),
    )

    def match(self, node: ir.Node) -> Match | None:
        """Bind x and one of the exponents."""
        for power in _EXPONENTS:
            found = _powers.match(node, power)
            if found is not None:
                return Match(found.x, found.exponent, found.out, power)
        return None

    def build(self, tape: Tape, m: Match) -> Sequence[ir.Value]:
        """Roots and products."""
        if m.power == 4:
            square = tape.op("Mul", [m.x, m.x])
            return [tape.op("Mul", [square, square])]
        root = tape.op("Sqrt", [m.x])
        if m.power == 1.5:
            return [tape.op("Mul", [m.x, root])]
        return [root if m.power > 0 else tape.op("Reciprocal", [root])]
