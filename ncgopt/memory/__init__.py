"""What a run of a model holds in memory: predicted for the graph and the order that ONNX Runtime really executes."""

from ncgopt.memory.look import MemoryReport, inspect_memory
from ncgopt.memory.prediction import Held, Prediction, Step

__all__ = ["Held", "MemoryReport", "Prediction", "Step", "inspect_memory"]
