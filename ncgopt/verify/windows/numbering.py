"""Values of one model that are equal because the same is computed of the same: value numbering.

Exporters write much twice, and optimizers share it: what stands for a value in the result may then be
its double in the original.
"""

from __future__ import annotations

import onnx_ir as ir

from ncgopt.facts.determinism import is_deterministic
from ncgopt.model.tensors import raw_bytes, string_data
from ncgopt.verify.windows.side import Side, inputs_of, weight_bytes

_COMPARED = 1 << 12  # bytes; larger constants are equal only to themselves


class Numbering:
    """A number for every value of a main graph; equal numbers are equal values."""

    def __init__(self, side: Side) -> None:
        self._side = side
        self._numbers: dict[ir.Value, int] = {}
        self._seen: dict[object, int] = {}
        for node in side.nodes:
            self._enter(node)

    def of(self, value: ir.Value) -> int:
        """The number of a value."""
        if value not in self._numbers:
            tensor = None if value.is_graph_input() else self._side.tensor(value)
            small = tensor is not None and weight_bytes(tensor) <= _COMPARED
            self._numbers[value] = self._number(_content(tensor) if small and tensor is not None else value)
        return self._numbers[value]

    def _number(self, key: object) -> int:
        return self._seen.setdefault(key, len(self._seen))

    def _enter(self, node: ir.Node) -> None:
        first = node.inputs[0] if node.inputs else None
        if node.op_type == "Identity" and not node.domain and first is not None:
            self._numbers[node.outputs[0]] = self.of(first)
            return
        # What subgraphs read is named in their text, and a name means one value.
        inputs = tuple(-1 if value is None else self.of(value) for value in node.inputs)
        captured = tuple(value.name for value in inputs_of(node) if value not in node.inputs)
        fixed = is_deterministic(node)
        key = (self._side.text(node), inputs, captured) if fixed else node
        for place, value in enumerate(node.outputs):
            self._numbers[value] = self._number((key, place))


def _content(tensor: ir.TensorProtocol) -> object:
    content = tuple(string_data(tensor)) if tensor.dtype == ir.DataType.STRING else bytes(raw_bytes(tensor))
    return tensor.dtype, tuple(tensor.shape), content
