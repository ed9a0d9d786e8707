"""onnxsim, run where a native crash of it does no harm."""

from __future__ import annotations

import importlib
from typing import Any

from ncgopt.errors import NcgoptError


class SimplifierFailed(NcgoptError):
    """onnxsim gave up on the model; the message is its own."""


def simplify(source: str, target: str) -> None:
    """Simplify the model at `source` with onnxsim's defaults and write it to `target`.

    Raises:
        SimplifierFailed: onnxsim raised, or found its own result wrong.
    """
    onnx: Any = importlib.import_module("onnx")
    onnxsim: Any = importlib.import_module("onnxsim")
    try:
        simplified, good = onnxsim.simplify(onnx.load(source))
    except Exception as error:  # its native part raises what it likes
        raise SimplifierFailed(" ".join(str(error).split())[:300]) from None
    if not good:
        raise SimplifierFailed("its own check says that its result is wrong")
    onnx.save(simplified, target)
