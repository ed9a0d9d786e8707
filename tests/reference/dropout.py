"""Dropout at inference in every opset; onnx's reference implementation (1.23) knows none before 7."""

from __future__ import annotations

import numpy as np
from onnx.reference.op_run import OpRun


class Dropout(OpRun):
    """The input and a mask that lets all through (ONNX, Dropout-1 to Dropout-22); never in training."""

    op_domain = ""

    def _run(self, x, ratio=None, training_mode=None, is_test=None, consumed_inputs=None, seed=None):
        if training_mode or is_test == 0:
            raise NotImplementedError("what training drops is random")
        return (x, np.ones(x.shape, bool))[: len(self.onnx_node.output)]
