"""Leaving out what onnx-ir imports and ncgopt never uses, in processes that are ours alone.

onnx-ir computes with sizes by way of sympy, whose import takes twice as long as all of the rest of onnx-ir.
We have arithmetic of our own (`ncgopt.facts.symbols`). Where the process is ours (the command line, and the
child process), sympy is therefore imported when somebody looks into it, which nobody does. A program that
imports ncgopt as a library gets its modules as they are.
"""

from __future__ import annotations

import importlib.util
import sys
from collections.abc import Sequence
from importlib.machinery import ModuleSpec, PathFinder
from types import ModuleType

# The second reads functions out of the first while it is imported.
_DEFERRED = frozenset({"sympy", "onnx_ir._symbolic_shapes"})


class _Finder:
    @staticmethod
    def find_spec(name: str, path: Sequence[str] | None = None, target: ModuleType | None = None) -> ModuleSpec | None:
        if name not in _DEFERRED:
            return None
        spec = PathFinder.find_spec(name, path, target)
        if spec is not None and spec.loader is not None:
            spec.loader = importlib.util.LazyLoader(spec.loader)
        return spec


def defer_unused() -> None:
    """Have sympy imported only when it is used; call it before anything imports onnx-ir."""
    if _Finder not in sys.meta_path:
        sys.meta_path.insert(0, _Finder)
