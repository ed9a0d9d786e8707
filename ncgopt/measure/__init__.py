"""What a model costs in practice: measured, not estimated."""

from ncgopt.measure.blocks import Effort
from ncgopt.measure.latency import Benchmark, Latency, Profile, compare_latency
from ncgopt.measure.ratio import Ratio

__all__ = ["Benchmark", "Effort", "Latency", "Profile", "Ratio", "compare_latency"]
