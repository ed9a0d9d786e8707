"""Softmax, LogSoftmax and Hardmax: from rows of a matrix to one axis of a tensor."""

from __future__ import annotations

import onnx_ir as ir

from ncgopt import facts
from ncgopt.opset.site import Site


def along_one_axis(site: Site) -> None:
    """Before operator set 13 the input was coerced into a matrix: everything from `axis` on was one row.

    Where that is one axis (the last, or all behind it have one element) the operator stays as it is,
    otherwise it gets that matrix: Flatten, the operator along the last axis, Reshape.
    """
    axis = int(site.attribute("axis", 1))
    x = site.required(0)
    dims = facts.shape(x)
    if dims is not None and dims:
        first = axis if axis >= 0 else axis + len(dims)
        behind = dims[first + 1 :]
        if 0 <= first < len(dims) and all(d == 1 for d in behind):
            site.set_attribute("axis", axis)
            return
    if axis == -1:
        site.set_attribute("axis", -1)
        return
    _as_matrix(site, x, axis)


def _as_matrix(site: Site, x: ir.Value, axis: int) -> None:
    """The node itself becomes the Reshape at the end, which keeps its outputs; name and texts move to the operator."""
    node = site.node
    dtype = facts.dtype(x)
    shape = site.op("Shape", [x], dtype=ir.DataType.INT64)
    rows = site.op("Flatten", [x], {"axis": axis}, dtype=dtype)
    inner = site.op(node.op_type, [rows], {"axis": -1}, dtype=dtype)
    producer = inner.producer()
    assert producer is not None
    producer.doc_string = node.doc_string
    producer.metadata_props.update(node.metadata_props)
    producer.name, node.name = node.name, producer.name
    node.op_type = "Reshape"
    site.drop("axis")
    if site.target >= 14:
        # Below, a dimension 0 is copied from the matrix, which has another one there: the empty tensor
        # whose last dimensions are 0 cannot be expressed, and fails.
        site.set_attribute("allowzero", 1)
        node.version = 14
    site.set_inputs([inner, shape])
