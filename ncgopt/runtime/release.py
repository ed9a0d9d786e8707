"""Which release of ONNX Runtime is installed: rules emit only what its CPU provider has a kernel for."""

from __future__ import annotations

import functools
import importlib.metadata

_DISTRIBUTIONS = ("onnxruntime", "onnxruntime-gpu", "onnxruntime-openvino", "onnxruntime-directml")


@functools.cache
def release() -> tuple[int, int]:
    """Major and minor version of the installed ONNX Runtime, read without importing it; (0, 0) where unknown."""
    for name in _DISTRIBUTIONS:
        try:
            major, minor = importlib.metadata.version(name).split(".")[:2]
        except (importlib.metadata.PackageNotFoundError, ValueError):
            continue
        if major.isdigit() and minor.isdigit():
            return int(major), int(minor)
    return 0, 0
