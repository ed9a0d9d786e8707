"""What calls of the child process raise, apart from what runs there: naming an error must not import a runtime."""

from __future__ import annotations

from ncgopt.errors import NcgoptError


class CannotEvaluate(NcgoptError):
    """Neither ONNX Runtime nor the reference implementation computes this model."""
