"""Pinning symbolic dimensions: `--bind batch=1`."""

from __future__ import annotations

import difflib
from collections.abc import Mapping

import onnx_ir as ir

from ncgopt.errors import Usage
from ncgopt.rewrite.session import all_graphs


def bind_dimensions(model: ir.Model, sizes: Mapping[str, int]) -> None:
    """Replace symbolic dimensions by sizes wherever they are declared: in inputs, outputs and inner values.

    Raises:
        Usage: a size is below 1, or no input has a dimension of that name.
    """
    known = {d.value for v in model.graph.inputs for d in (v.shape or ()) if isinstance(d, ir.SymbolicDim) and d.value}
    for name, size in sizes.items():
        if size < 1:
            raise Usage(f"--bind {name}={size}: a dimension is at least 1")
        if name not in known:
            close = difflib.get_close_matches(name, known, n=1)
            listed = f"did you mean {close[0]}?" if close else f"the model has {', '.join(sorted(known)) or 'none'}"
            raise Usage(f"--bind {name}={size}: no input has a dimension of that name; {listed}")
    for graph in all_graphs(model) if sizes else ():
        for value in (*graph.inputs, *graph.outputs, *(v for node in graph for v in node.outputs)):
            if value.shape is not None and any(_name(d) in sizes for d in value.shape):
                value.shape = ir.Shape([sizes.get(_name(d), d) for d in value.shape])


def _name(dim: int | ir.SymbolicDim) -> str:
    return "" if isinstance(dim, int) else dim.value or ""
