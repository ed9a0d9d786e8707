"""Compute a chain of small one-dimensional convolutions in two dimensions."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import onnx_ir as ir

from ncgopt import facts
from ncgopt.facts.affine import producer_beside
from ncgopt.records import record
from ncgopt.rewrite import Claim, Pays, Rule, Tape
from ncgopt.rules.convolution._fused_conv import activation_of, conv_at
from ncgopt.rules.shape._axes import squeeze
from ncgopt.settings import Target

_CONVOLUTIONS = ("Conv", "com.microsoft::FusedConv")
_LARGEST = 2**17  # weights; larger convolutions spend their time in the product, whatever the layout
_FEW, _MANY = 4, 16  # channels that the blocked layout takes unblocked, channels and taps that make up for the way back
_AXIS = 2  # the new one, of length 1, before the old one
_PER_AXIS = {"kernel_shape": 1, "strides": 1, "dilations": 1}


@record
class Match:
    """`node` convolves along one axis."""

    node: ir.Node
    x: ir.Value
    weight: ir.Value


class ReplaceSmallConv1d(Rule[Match]):
    """`Conv(x, W)` along one axis becomes `Squeeze(Conv(Unsqueeze(x), W'))` along two, the new one of length 1.

    ONNX Runtime has its blocked layout for two-dimensional convolutions only; what is between them (an
    Unsqueeze of a Squeeze) goes. `make bench-rules` shows 1/1.2 of the time for a chain of convolutions
    as speech detectors have it (ONNX Runtime 1.32, 1 thread); one convolution alone gains nothing, and
    neither do large ones.
    """

    name = "replace-small-conv-1d"
    claim = Claim.ROUNDS
    root = _CONVOLUTIONS
    targets = frozenset({Target.ONNXRUNTIME})
    closing = True
    unconditional = "an axis of length 1 is convolved with a kernel of length 1"
    pays = (
        Pays[Match](
            "in-a-chain", "the data is brought into the layout and back for one operator", lambda m: _in_chain(m)
        ),
    )

    def match(self, node: ir.Node) -> Match | None:
        """Bind a small convolution whose attributes are known."""
        x, weight = facts.input_of(node, 0), facts.input_of(node, 1)
        if x is None or weight is None or not facts.is_constant(weight) or facts.rank(weight) != 3:
            return None
        if _size(weight) > _LARGEST or _awaits_activation(node):
            return None
        if facts.dtype(weight) != ir.DataType.FLOAT or len(node.inputs) > 3:
            return None
        known = not any(attribute.is_ref() for attribute in node.attributes.values())
        padding = node.attributes.get("auto_pad")
        explicit = padding is None or padding.value in ("NOTSET", "VALID")
        return Match(node, x, weight) if known and explicit else None

    def build(self, tape: Tape, m: Match) -> Sequence[ir.Value]:
        """The convolution between an Unsqueeze and a Squeeze."""
        array = facts.constant(m.weight)
        if array is None:
            raise ValueError("the weights are not constant")
        attributes = {name: attribute.value for name, attribute in m.node.attributes.items()}
        for name, neutral in _PER_AXIS.items():
            if name in attributes:
                attributes[name] = (neutral, *m.node.attributes[name].as_ints())
        if "pads" in attributes:
            begin, end = m.node.attributes["pads"].as_ints()
            attributes["pads"] = (0, begin, 0, end)
        weight = tape.constant(np.expand_dims(array, _AXIS), name=m.weight.name)
        wide = squeeze(tape, "Unsqueeze", m.x, (_AXIS,))
        made = tape.op(
            m.node.op_type, [wide, weight, *m.node.inputs[2:]], attributes, domain=m.node.domain, name=m.node.name
        )
        return [squeeze(tape, "Squeeze", made, (_AXIS,))]


def _size(weight: ir.Value) -> int:
    return facts.known_size(weight) or _LARGEST + 1


def _in_chain(m: Match) -> bool:
    """Whether what it reads or what reads it is a small convolution too, or one that was replaced already.

    One that makes many channels of few, such as a Fourier transform of a signal, is a chain of its own:
    the blocked kernel reads its input as it is, and a copy of each window is saved.
    """
    sizes = facts.static(m.weight)
    if sizes is not None and sizes[1] < _FEW and sizes[0] >= _MANY and sizes[2] >= _MANY:
        return True
    source = producer_beside(m.x, m.node, *_CONVOLUTIONS, "Squeeze")
    if source is not None:
        wide = source.op_type != "Squeeze" or facts.producer(source.inputs[0], *_CONVOLUTIONS) is not None
        return wide and (source.op_type == "Squeeze" or _is_small(source))
    return any(user.graph is m.node.graph and _leads_on(user) for user in _users(m.node))


def _leads_on(user: ir.Node) -> bool:
    if user.op_type == "Unsqueeze":
        return any(next_one.op_type in ("Conv", "FusedConv") for next_one in _users(user))
    return _is_small(user)


def _is_small(node: ir.Node) -> bool:
    weight = facts.input_of(node, 1)
    return node.op_type in ("Conv", "FusedConv") and weight is not None and _size(weight) <= _LARGEST


def _awaits_activation(node: ir.Node) -> bool:
    """Whether an activation behind a Conv will still go into it: a Squeeze between them would keep it out."""
    users = _users(node)
    if node.op_type != "Conv" or len(users) != 1 or conv_at(node.outputs[0], users[0]) is None:
        return False
    return activation_of(users[0]) is not None and facts.sole_user(node.outputs[0])


def _users(node: ir.Node) -> list[ir.Node]:
    return [use.node for use in node.outputs[0].uses()]
