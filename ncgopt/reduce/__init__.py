"""Which rewrite is at fault, and the smallest model that shows it: `ncgopt bisect`."""

from ncgopt.reduce.bisect import SECONDS, Bisection, Replay, bisect, replay
from ncgopt.reduce.bundle import Bundle
from ncgopt.reduce.experiment import Symptom

__all__ = ["SECONDS", "Bisection", "Bundle", "Replay", "Symptom", "bisect", "replay"]
