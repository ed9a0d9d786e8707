"""Where the windows of a convolution or pooling operator lie."""

from __future__ import annotations

from collections.abc import Sequence

import onnx_ir as ir

from ncgopt import facts
from ncgopt.records import record

Sizes = tuple[int, ...]


@record
class Geometry:
    """Spatial attributes, one entry per spatial dimension; padding is written out."""

    kernel: Sizes
    strides: Sizes
    dilations: Sizes
    begins: Sizes
    ends: Sizes

    @property
    def is_padded(self) -> bool:
        """Whether a window reaches over an edge of the input."""
        return any(self.begins) or any(self.ends)

    @property
    def steps_by_one(self) -> bool:
        """Whether a window begins at every element."""
        return all(s == 1 for s in self.strides)

    @property
    def is_pointwise(self) -> bool:
        """Whether every window is a single element of the input."""
        return all(k == 1 for k in self.kernel) and not self.is_padded

    @property
    def pads(self) -> Sizes:
        """The attribute `pads`."""
        return (*self.begins, *self.ends)

    @property
    def preserves_size(self) -> bool:
        """Whether the output is as large as the input."""
        reach = (d * (k - 1) for d, k in zip(self.dilations, self.kernel, strict=True))
        total = (a + b for a, b in zip(self.begins, self.ends, strict=True))
        return self.steps_by_one and all(r == t for r, t in zip(reach, total, strict=True))


def geometry(node: ir.Node, kernel: Sequence[int] | None = None) -> Geometry | None:
    """The geometry of `node`; None where padding depends on the input's size, or an attribute is not known.

    Args:
        node: a Conv, ConvTranspose, MaxPool or AveragePool.
        kernel: spatial shape of the weights; None for pooling, which has an attribute for it.
    """
    if kernel is None:
        kernel = facts.ints_attribute(node, "kernel_shape")
    mode = facts.string_attribute(node, "auto_pad")
    if kernel is None or mode not in ("NOTSET", "VALID") or (mode == "VALID" and facts.is_set(node, "pads")):
        return None
    rank = len(kernel)
    strides, dilations = (_sizes(node, name, (1,) * rank) for name in ("strides", "dilations"))
    pads = _sizes(node, "pads", (0,) * (2 * rank))
    if strides is None or dilations is None or pads is None:
        return None
    return Geometry(tuple(kernel), strides, dilations, pads[:rank], pads[rank:])


def _sizes(node: ir.Node, name: str, default: Sizes) -> Sizes | None:
    found = facts.ints_attribute(node, name) if facts.is_set(node, name) else default
    return found if found is not None and len(found) == len(default) else None
