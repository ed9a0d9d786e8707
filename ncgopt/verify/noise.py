"""Where an output is ill-conditioned, the original's own noise decides how far the result may be.

Two measures of it, taken only when a comparison fails: the original with ONNX Runtime's
optimizations on against itself with them off, and the original on inputs moved by a few rounding
errors (the backward error that any evaluation in that precision has).
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace

from ncgopt.report import OutputDifference
from ncgopt.verify.compare import excess
from ncgopt.verify.tolerance import NOISE_FACTOR

JITTER_UNITS = 4.0  # rounding errors by which inputs are moved


def allow(difference: OutputDifference, noise: Iterable[OutputDifference], optimized: bool) -> OutputDifference:
    """The difference with its limit raised to `NOISE_FACTOR` times the noise of the same output.

    Args:
        difference: result against original; returned as it is where it is within its limit.
        noise: the original against itself, same output, same inputs.
        optimized: the result ran with ONNX Runtime's optimizations on; only then may the pattern of
            NaN and infinities differ, and only if the original's own optimizations change it too.
    """
    if difference.ok:
        return difference
    measured = list(noise)
    if difference.detail:
        unstable = optimized and any(other.detail for other in measured)
        flips = NOISE_FACTOR * max((other.mismatches for other in measured), default=0)
        strings = difference.detail.endswith("strings differ") and difference.mismatches <= flips
        return replace(difference, detail="", noise=float("inf")) if unstable or strings else difference
    numeric = [other for other in measured if not other.detail]
    if difference.limit == 0.0:
        flips = NOISE_FACTOR * max((other.mismatches for other in numeric), default=0)
        largest = max((other.max_abs for other in numeric), default=0.0)
        tied = 0 < difference.mismatches <= flips
        return replace(difference, limit=difference.max_abs, noise=largest) if tied else difference
    factor = NOISE_FACTOR * max((excess(other) for other in numeric), default=0.0)
    largest = max((other.max_abs for other in numeric), default=0.0)
    return replace(difference, limit=difference.limit * max(1.0, factor), noise=largest)
