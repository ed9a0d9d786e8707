"""ONNX Runtime's Conv with an activation in it (docs/ContribOperators.md, FusedConv).

At its highest level the runtime takes FusedConv into its blocked layout like a Conv, so that forming
it costs nothing there: it is what the runtime itself forms one level below.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import cast

import numpy as np
import onnx_ir as ir

from ncgopt import facts
from ncgopt.facts.affine import producer_beside
from ncgopt.records import record
from ncgopt.rewrite import Tape
from ncgopt.rules.activation._clip import bounds

# The types that FusedConv runs in: float16 between casts, which the runtime adds around a Conv as well.
_SERVED = frozenset({ir.DataType.FLOAT, ir.DataType.FLOAT16})
_DEFAULTS: dict[str, int | str] = {"auto_pad": "NOTSET", "dilations": 1, "group": 1, "pads": 0, "strides": 1}
_LARGEST = float(np.finfo(np.float32).max)


@record
class Activation:
    """An activation that FusedConv knows, with its parameters in the order of `activation_params`."""

    name: str
    parameters: tuple[float, ...] = ()


@record
class Match:
    """`root = activation(Conv(x, W, b))`; `nodes` is everything this takes but the Conv."""

    conv: ir.Node
    activation: Activation
    nodes: tuple[ir.Node, ...]
    root: ir.Node

    @property
    def out(self) -> ir.Value:
        """The output of the Conv."""
        return self.conv.outputs[0]


UNCONDITIONAL = "the kernel computes the same convolution, then the same function of each element"


def conv_at(value: ir.Value | None, root: ir.Node) -> ir.Node | None:
    """The Conv that produces `value` in the graph of `root`, its attributes known, in a type that can be fused."""
    conv = producer_beside(value, root, "Conv")
    if conv is None or facts.dtype(conv.outputs[0]) not in _SERVED:
        return None
    return None if any(attribute.is_ref() for attribute in conv.attributes.values()) else conv


def activation_of(node: ir.Node) -> Activation | None:
    """The node as an activation in a FusedConv; None where it is none, or a parameter is not known."""
    match node.op_type:
        case "Relu" | "Sigmoid" | "Tanh":
            return Activation(node.op_type)
        case "LeakyRelu":
            return _with_attributes(node, "alpha")
        case "HardSigmoid":
            return _with_attributes(node, "alpha", "beta")
        case "Clip":
            found = bounds(node)
            if found is None:
                return None
            low, high = (float(np.clip(end.number, -_LARGEST, _LARGEST)) for end in (found.low, found.high))
            return Activation("Clip", (low, high))
        case _:
            return None


def build(tape: Tape, m: Match) -> Sequence[ir.Value]:
    """One FusedConv: the Conv's inputs and attributes, and the activation."""
    attributes = {name: attribute.value for name, attribute in m.conv.attributes.items() if _says(attribute)}
    attributes["activation"] = m.activation.name
    if m.activation.parameters:
        attributes["activation_params"] = list(m.activation.parameters)
    return [tape.op("FusedConv", m.conv.inputs, attributes, domain="com.microsoft", name=m.conv.name)]


def _says(attribute: ir.Attr) -> bool:
    """Whether an attribute of a Conv is not the default: naming the domain of FusedConv takes bytes that these free."""
    value: object = attribute.value
    if isinstance(value, Sequence) and not isinstance(value, str):
        return any(v != _DEFAULTS.get(attribute.name) for v in cast("Sequence[object]", value))
    return value != _DEFAULTS.get(attribute.name)


def _with_attributes(node: ir.Node, *names: str) -> Activation | None:
    values = [facts.float_attribute(node, name) for name in names]
    known = tuple(v for v in values if v is not None)
    return Activation(node.op_type, known) if len(known) == len(values) else None
