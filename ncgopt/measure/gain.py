"""What a rewrite turned out to be worth, where it was tried."""

from __future__ import annotations

from dataclasses import dataclass

from ncgopt.measure.ratio import Ratio


@dataclass(frozen=True)
class Gain:
    """A window, measured before and after.

    Attributes:
        places: places of the rewrites that this is about, see `ncgopt.rewrite.avoided.place_of`.
        target: the first value that the window computes.
        nodes: nodes before and after, without the surroundings that were measured along.
        ratio: time before over time after; None where it could not be measured.
        trades: whether it costs something that time has to pay for: more nodes, or more bytes of weights.
        remembered: whether the ratio comes from an earlier run.
        reason: why there is no ratio.
    """

    places: tuple[str, ...]
    target: str
    nodes: tuple[int, int]
    ratio: Ratio | None
    trades: bool
    remembered: bool = False
    reason: str = ""

    @property
    def pays(self) -> bool:
        """Whether to keep it: it wins beyond noise; or costs nothing, and does not lose; or is not known."""
        if self.ratio is None or self.ratio.verdict == "faster":
            return True
        return self.ratio.verdict != "slower" and not self.trades
