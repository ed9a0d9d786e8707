"""ConvTranspose with groups, which onnx's reference implementation (1.23) gets wrong.

It slices the weights by output channels although their first dimension holds the inputs, and gives
every group the bias of the first.
"""

from __future__ import annotations

import numpy as np
from onnx.reference.ops import op_conv_transpose


class ConvTranspose(op_conv_transpose.ConvTranspose):
    """Each group on its own, put together along the channels (ONNX, ConvTranspose-11)."""

    op_domain = ""

    def _run(self, x, w, b=None, group=None, **attributes):
        one = super()._run
        biases = [None] * group if b is None else np.split(b, group)
        parts = zip(np.split(x, group, axis=1), np.split(w, group), biases, strict=True)
        return (np.concatenate([one(*part, group=1, **attributes)[0] for part in parts], axis=1),)
