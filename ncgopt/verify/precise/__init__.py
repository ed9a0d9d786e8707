"""What a model computes in float64: the yardstick that tells rounding from being wrong."""

from ncgopt.verify.precise.run import NoReference, run_precisely

__all__ = ["NoReference", "run_precisely"]
