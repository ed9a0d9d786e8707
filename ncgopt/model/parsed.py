"""Tensors whose elements came with their message: mostly small, and looked at again and again."""

from __future__ import annotations

import functools
from typing import Any

import numpy as np
import numpy.typing as npt
import onnx_ir as ir

_KEPT = 1 << 16
"""Bytes of an array that is kept once it was made; larger ones are made anew each time."""


class ParsedTensor(ir.TensorProtoTensor):
    """A tensor that translates its message once, not whenever a rule looks at a constant.

    Elements and shape of a message never change here: passes replace tensors, they do not write into them.
    """

    @functools.cached_property
    def shape(self) -> ir.Shape:  # pyright: ignore[reportIncompatibleMethodOverride] - a cached property is one
        """The dimensions; frozen."""
        return super().shape

    @functools.cached_property
    def dtype(self) -> ir.DataType:  # pyright: ignore[reportIncompatibleMethodOverride] - as above
        """The element type."""
        return super().dtype

    def numpy(self) -> npt.NDArray[Any]:
        """The elements, read-only where they are few."""
        return super().numpy() if self.nbytes > _KEPT else self._elements

    @functools.cached_property
    def _elements(self) -> npt.NDArray[Any]:
        array: npt.NDArray[Any] = np.asarray(super().numpy())
        array.flags.writeable = False
        return array
