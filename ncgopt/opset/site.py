"""One node on its way from one version of its operator to the next, and what an adapter may do there."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, NoReturn

import numpy as np
import onnx_ir as ir

from ncgopt import facts
from ncgopt.facts.constants import Array


class CannotUpgrade(Exception):
    """The next version cannot say what this node says; the message says why, without naming the node."""


class Site:
    """A node that an adapter rewrites in place: the node itself stays, and computes what it computed.

    What an adapter adds comes before the node, so that its outputs, whoever uses them, stay what they
    are. New nodes have the version of this step unless they say otherwise; later steps carry them on.

    Attributes:
        node: the node, in its old form.
        version: the version of the operator set that introduced the new form.
        target: the version where the upgrade ends; a form of any version up to it may be written.
    """

    def __init__(self, node: ir.Node, version: int, target: int, fresh_name: Callable[[str], str]) -> None:
        self.node, self.version, self.target = node, version, target
        self._fresh_name = fresh_name

    def refuse(self, reason: str) -> NoReturn:
        """Give up on this node."""
        raise CannotUpgrade(reason)

    def op(
        self,
        op_type: str,
        inputs: Sequence[ir.Value | None],
        attributes: Mapping[str, int | Sequence[int]] | None = None,
        *,
        version: int = 0,
        dtype: ir.DataType | None = None,
    ) -> ir.Value:
        """Add a node with one output before this one; `dtype` is that of the output where it is known."""
        made = ir.convenience.convert_attributes(dict(attributes or {}))
        return self.insert(ir.Node("", op_type, inputs, made, version=version or self.version), op_type, dtype)

    def constant(self, array: Array) -> ir.Value:
        """A constant, as a node: a local function can hold no initializers."""
        tensor = ir.tensor(np.ascontiguousarray(array).reshape(array.shape))
        node = ir.Node("", "Constant", [], [ir.AttrTensor("value", tensor)], version=self.version)
        value = self.insert(node, "constant", tensor.dtype)
        value.shape = ir.Shape(array.shape)
        return value

    def insert(self, node: ir.Node, wish: str, dtype: ir.DataType | None = None) -> ir.Value:
        """Put `node` (one output) before this one, under names made from `wish`; returns its output."""
        assert self.node.graph is not None
        base = self.node.name or self.node.outputs[0].name or self.node.op_type
        node.name = self._fresh_name(f"{base}_{wish}")
        node.outputs[0].name = self._fresh_name(f"{base}_{wish}_output")
        node.outputs[0].type = ir.TensorType(dtype) if dtype is not None else None
        self.node.graph.insert_before(self.node, node)
        return node.outputs[0]

    def set_inputs(self, inputs: Sequence[ir.Value | None]) -> None:
        """Replace all inputs of the node; trailing None ones are left out."""
        trimmed = list(inputs)
        while trimmed and trimmed[-1] is None:
            trimmed.pop()
        self.node.resize_inputs(len(trimmed))
        for index, value in enumerate(trimmed):
            self.node.replace_input_with(index, value)

    def input(self, index: int) -> ir.Value | None:
        """Input number `index`, None where it is left out."""
        return facts.input_of(self.node, index)

    def required(self, index: int) -> ir.Value:
        """Input number `index`; a node without it is refused."""
        value = self.input(index)
        return value if value is not None else self.refuse(f"input {index} is missing")

    def set_attribute(self, name: str, value: int | float | str | Sequence[int]) -> None:
        """Set or replace an attribute."""
        (made,) = ir.convenience.convert_attributes({name: value})
        self.node.attributes[name] = made

    def drop(self, *names: str) -> None:
        """Remove attributes, those that are not there as well."""
        for name in names:
            self.node.attributes.pop(name, None)

    def attribute(self, name: str, default: Any = None) -> Any:
        """The value of an attribute that the node sets, else `default`; one that depends on the call is refused."""
        attribute = self.node.attributes.get(name)
        if attribute is None:
            return default
        if attribute.is_ref():
            self.refuse(f"attribute {name} is given by the caller of the function")
        return attribute.value

    def has_empty(self, name: str) -> bool:
        """Whether the node sets the attribute to an empty list."""
        attribute = self.node.attributes.get(name)
        return attribute is not None and not attribute.is_ref() and not attribute.value

    def ints_as_value(self, name: str) -> ir.Value | None:
        """Take an attribute of integers off the node, and give it as a value; None where it is not set.

        One that the caller of a local function gives becomes a `Constant` that refers to it in turn.
        """
        attribute = self.node.attributes.pop(name, None)
        if attribute is None:
            return None
        if attribute.is_ref():
            assert attribute.ref_attr_name is not None
            held = ir.RefAttr("value_ints", attribute.ref_attr_name, ir.AttributeType.INTS)
            return self.insert(ir.Node("", "Constant", [], [held], version=self.version), name, ir.DataType.INT64)
        return self.constant(np.array(attribute.value, dtype=np.int64))

    def like(self, number: float, x: ir.Value) -> ir.Value:
        """A scalar of the element type of `x`."""
        dtype = facts.dtype(x)
        if dtype is not None:
            with np.errstate(over="ignore"):
                return self.constant(np.array(number, dtype=np.float32).astype(dtype.numpy()))
        if self.target < 15:
            self.refuse("the element type is not known, and CastLike needs operator set 15")
        return self.op("CastLike", [self.constant(np.array(number, dtype=np.float32)), x], version=15)
