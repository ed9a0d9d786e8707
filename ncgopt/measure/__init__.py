"""What a model costs in practice: measured, not estimated."""

from ncgopt.measure.latency import Benchmark, Latency, compare_latency

__all__ = ["Benchmark", "Latency", "compare_latency"]
