"""Showing that a result computes what its original computes, on data that the original accepts."""

from ncgopt.verify.ahead import Ahead
from ncgopt.verify.equivalence import verify

__all__ = ["Ahead", "verify"]
