"""Dynamic programs (PyTorch, Keras, TensorFlow, JAX) as static graphs that are known to compute the same.

The framework's own exporter makes the graph; what it made is run against the program, at sizes it was not traced
with, before anything is written. No framework is imported before a program asks for it.
"""

from ncgopt.capture.program import CannotCapture
from ncgopt.capture.run import CaptureReport, CaptureSettings, capture
from ncgopt.capture.specs import InputSpec, parse

__all__ = ["CannotCapture", "CaptureReport", "CaptureSettings", "InputSpec", "capture", "parse"]
