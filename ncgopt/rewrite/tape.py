"""What a rule records its replacement on; nothing reaches the graph until the engine says so."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
import onnx_ir as ir

from ncgopt.facts.constants import Array

AttributeValue = int | float | str | Sequence[int] | Sequence[float] | ir.TensorProtocol


class Tape:
    """New nodes and constants, not yet part of any graph.

    Attributes:
        nodes: the new nodes in order.
        constants: the new constants; each becomes an initializer of the root's graph (a `Constant`
            node in a local function, which can hold no initializers).
    """

    def __init__(self, opsets: Mapping[str, int]) -> None:
        """`opsets`: version per domain in force where the replacement goes."""
        self.nodes: list[ir.Node] = []
        self.constants: list[ir.Value] = []
        self.opsets = opsets

    def op(
        self,
        op_type: str,
        inputs: Sequence[ir.Value | None],
        attributes: Mapping[str, AttributeValue] | None = None,
        *,
        domain: str = "",
        name: str | None = None,
    ) -> ir.Value:
        """Record a node with one output and return that output."""
        return self.multi_op(op_type, inputs, attributes, domain=domain, name=name, outputs=1)[0]

    def multi_op(
        self,
        op_type: str,
        inputs: Sequence[ir.Value | None],
        attributes: Mapping[str, AttributeValue] | None = None,
        *,
        domain: str = "",
        name: str | None = None,
        outputs: int,
    ) -> Sequence[ir.Value]:
        """Record a node and return its outputs. Trailing None inputs are left out."""
        trimmed = list(inputs)
        while trimmed and trimmed[-1] is None:
            trimmed.pop()
        attrs = ir.convenience.convert_attributes(dict(attributes or {}))
        node = ir.Node(
            domain, op_type, trimmed, attrs, num_outputs=outputs, version=self.opsets.get(domain, 1), name=name
        )
        self.nodes.append(node)
        return node.outputs

    def like(self, node: ir.Node, inputs: Sequence[ir.Value | None]) -> ir.Value:
        """Record a copy of `node` (one output) on other inputs, with the same attributes."""
        copy = ir.Node(
            node.domain, node.op_type, inputs, list(node.attributes.values()), num_outputs=1, version=node.version,
            name=node.name,
        )  # fmt: skip
        self.nodes.append(copy)
        return copy.outputs[0]

    def constant(self, array: Array, *, name: str | None = None) -> ir.Value:
        """Record a constant; `name` is a wish, made unique by the engine."""
        whole = np.ascontiguousarray(array).reshape(array.shape)
        # `ir.tensor` asks of everything that it could be what it is.
        tensor = ir.Tensor(whole) if whole.dtype.kind in "biufc" else ir.tensor(whole)
        value = ir.Value(name=name, shape=ir.Shape(array.shape), type=ir.TensorType(tensor.dtype), const_value=tensor)
        self.constants.append(value)
        return value

    def discard(self) -> None:
        """Forget everything recorded: the values used lose these nodes as users."""
        for node in self.nodes:
            for index in range(len(node.inputs)):
                node.replace_input_with(index, None)
        self.nodes.clear()
        self.constants.clear()
