"""ONNX's own checker, run where a native crash of it does no harm; imports nothing but onnx, to be there soon."""

from __future__ import annotations

from pathlib import Path
from typing import Any, cast

import onnx


def check_file(path: Path) -> list[str]:
    """What the checker says against the model at `path`, shape inference included; often nothing."""
    check = cast(Any, onnx.checker).check_model  # typed with a bare PathLike
    try:
        check(_source(path), full_check=True)
    except (onnx.checker.ValidationError, onnx.shape_inference.InferenceError, ValueError, RuntimeError) as error:
        return [" ".join(str(error).split())]
    return []


def _source(path: Path) -> str | bytes:
    """The path, which external data are looked for beside; the content where the name is none that onnx can take."""
    try:
        return str(path).encode().decode()
    except UnicodeEncodeError:
        return path.read_bytes()
