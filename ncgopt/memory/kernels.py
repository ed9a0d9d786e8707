"""Which kernels of ONNX Runtime's CPU provider write into the buffer of an input, or only give it another name.

From the kernels' registrations (`Alias` and `MayInplace` of onnxruntime/core/framework/kernel_def_builder.h),
and every entry measured: `tests/memory/test_kernels.py` runs each and looks how much memory it takes.
"""

from __future__ import annotations

from onnx import NodeProto

_NAMES_ANEW = frozenset({"Reshape", "Squeeze", "Unsqueeze", "Flatten", "Identity"})
_IN_PLACE = frozenset(
    {
        *("Relu", "LeakyRelu", "ThresholdedRelu", "Elu", "Selu", "Celu", "Clip", "HardSigmoid", "Shrink"),
        *("Sigmoid", "Tanh", "Softplus", "Softsign", "Softmax", "LogSoftmax"),
        *("Cast", "Trilu", "ScatterElements"),
    }
)
_BLOCKED = "com.microsoft.nchwc"
_SUMMAND = 3  # input of a blocked convolution that its result is added to


def renamed(domain: str, operator: str) -> bool:
    """Whether the first output is the first input under another name and shape, whoever else uses that."""
    return not domain and operator in _NAMES_ANEW


def overwritten(domain: str, operator: str) -> int | None:
    """The input whose buffer the first output may take, where nobody else needs it and the sizes are equal."""
    if not domain and operator in _IN_PLACE:
        return 0
    return _SUMMAND if (domain, operator) == (_BLOCKED, "Conv") else None


def workspace(node: NodeProto, result: int) -> int:
    """Bytes that a kernel takes beside its inputs and outputs and gives back at its end, where that is known.

    Measured like everything in here. Not in it is what depends on the machine: the packing of matrices,
    and the unfolded patches of convolutions that are not blocked.

    Args:
        node: the node.
        result: bytes of its first output.
    """
    if node.domain:
        biased = node.op_type == "BiasGelu" or (node.op_type == "FastGelu" and len(node.input) > 1)
        return result if biased else 0
    return _OWN.get(node.op_type, 0) * result


# Multiples of the result: Where selects from each side into a tensor of its own before it joins them.
_OWN = {"Where": 2, "Einsum": 1}
