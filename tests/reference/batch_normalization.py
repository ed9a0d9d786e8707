"""BatchNormalization in inference, which onnx's reference implementation (1.23) trains below opset 14.

It goes by `momentum`, which always has a value; the specification goes by the number of outputs.
"""

from __future__ import annotations

from onnx.reference.op_run import OpRun
from onnx.reference.ops.op_batch_normalization import BatchNormalization_14


class BatchNormalization(OpRun):
    """Mean and variance of the batch if `training_mode` is set, or if there are more outputs (opset < 14)."""

    op_domain = ""

    def _run(self, x, scale, bias, mean, var, epsilon=None, momentum=None, training_mode=None, spatial=1):
        if training_mode is None and (len(self.onnx_node.output) > 1 or not spatial):
            raise NotImplementedError("only inference with one parameter per channel")
        return BatchNormalization_14._run(self, x, scale, bias, mean, var, epsilon, momentum, training_mode or 0)
