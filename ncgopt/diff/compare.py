"""Everything in which two models differ, as plain data."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import cast

import numpy as np
import onnx_ir as ir

from ncgopt.diff.matching import Matching, attributes_key, match, weight_key
from ncgopt.inspect import Inspection, Port
from ncgopt.model.ondisk import FileTensor
from ncgopt.report import ModelStats, Verification

_MOST = 1 << 20  # elements that are subtracted at a time


@dataclass(frozen=True)
class OperatorCount:
    """An operator that occurs `left` times in one model and `right` times in the other."""

    operator: str
    left: int
    right: int


@dataclass(frozen=True)
class Fact:
    """One thing that the models say differently; None where one of them does not say it.

    Attributes:
        what: `input`, `output`, `opset`, `model`, `metadata`, `function` or `weight`.
        name: of it.
        left: what the first says.
        right: what the second says.
    """

    what: str
    name: str
    left: str | None
    right: str | None


@dataclass(frozen=True)
class NodeChange:
    """A value that both models compute, each in its way.

    Attributes:
        value: its name.
        left: operator in the first.
        right: operator in the second.
        why: `operator`, `attributes` or `inputs`: the first of these that differs.
    """

    value: str
    left: str
    right: str
    why: str


@dataclass(frozen=True)
class Nodes:
    """Nodes of the main graphs.

    Attributes:
        same: how many do the same on both sides.
        changed: those that give a value of the same name in another way.
        removed: `Relu act1` and the like, only in the first.
        added: only in the second.
    """

    same: int
    changed: tuple[NodeChange, ...]
    removed: tuple[str, ...]
    added: tuple[str, ...]


@dataclass(frozen=True)
class Difference:
    """Two models side by side.

    Attributes:
        left: path of the first.
        right: path of the second.
        identical: whether nothing differs but names of nodes and values.
        left_stats: size of the first.
        right_stats: size of the second.
        operators: operators that do not occur equally often.
        facts: differences of interface, operator sets, texts and weights.
        nodes: how the graphs match.
        verification: the comparison of what they compute; None where that was not asked for, or is not possible.
        not_compared: why it was not possible.
    """

    left: str
    right: str
    identical: bool
    left_stats: ModelStats
    right_stats: ModelStats
    operators: tuple[OperatorCount, ...]
    facts: tuple[Fact, ...]
    nodes: Nodes
    verification: Verification | None = None
    not_compared: str = ""


def compare(left: ir.Model, right: ir.Model, left_seen: Inspection, right_seen: Inspection) -> Difference:
    """Compare structure, interface and weights; all weights of both are read.

    Raises:
        InputUnreadable: a file with weights cannot be read any more.
    """
    found = match(left, right, exact=True)
    facts = tuple((*_seen_facts(left_seen, right_seen), *_weights(left, right)))
    names = dict.fromkeys((*left_seen.stats.operators, *right_seen.stats.operators))
    counts = [
        OperatorCount(name, left_seen.stats.operators.get(name, 0), right_seen.stats.operators.get(name, 0))
        for name in names
    ]
    nodes = _nodes(found)
    return Difference(
        left=left_seen.model,
        right=right_seen.model,
        identical=not (facts or nodes.changed or nodes.removed or nodes.added),
        left_stats=left_seen.stats,
        right_stats=right_seen.stats,
        operators=tuple(one for one in counts if one.left != one.right),
        facts=facts,
        nodes=nodes,
    )


def interfaces_agree(difference: Difference) -> bool:
    """Whether both models can be fed the same, and give values of the same names."""
    return not any(fact.what in ("input", "output") for fact in difference.facts)


def _nodes(found: Matching) -> Nodes:
    changed = [
        NodeChange(next((v.name for v in b.outputs if v.name), "") or "", _title(a), _title(b), _why(a, b))
        for a, b in found.changed.items()
    ]
    return Nodes(len(found.same), tuple(changed), tuple(map(_title, found.removed)), tuple(map(_title, found.added)))


def _title(node: ir.Node) -> str:
    operator = f"{node.domain}::{node.op_type}" if node.domain else node.op_type
    name = node.name or next((value.name for value in node.outputs if value.name), "")
    return f"{operator} {name}".rstrip()


def _why(left: ir.Node, right: ir.Node) -> str:
    if (left.domain, left.op_type) != (right.domain, right.op_type):
        return "operator"
    return "attributes" if attributes_key(left) != attributes_key(right) else "inputs"


def _seen_facts(left: Inspection, right: Inspection) -> Iterator[Fact]:
    """What inspection says of each."""
    yield from _pairs("input", _ports(left.inputs), _ports(right.inputs))
    yield from _pairs("output", _ports(left.outputs), _ports(right.outputs))
    opsets = ({name or "ai.onnx": str(version) for name, version in one.opsets.items()} for one in (left, right))
    yield from _pairs("opset", *opsets)
    heads = (
        {"producer": f"{one.producer_name} {one.producer_version}".strip(), "IR version": str(one.ir_version)}
        for one in (left, right)
    )
    yield from _pairs("model", *heads)
    yield from _pairs("metadata", left.metadata, right.metadata)
    functions = ({one.name: f"{one.nodes} nodes" for one in seen.functions} for seen in (left, right))
    yield from _pairs("function", *functions)


def _ports(ports: tuple[Port, ...]) -> dict[str, str]:
    """In their order, which is part of the interface."""
    return {port.name: f"{place}: {port.text}" for place, port in enumerate(ports)}


def _pairs(what: str, left: Mapping[str, str], right: Mapping[str, str]) -> Iterator[Fact]:
    for name in dict.fromkeys((*left, *right)):
        if left.get(name) != right.get(name):
            yield Fact(what, name, left.get(name), right.get(name))


def _weights(left: ir.Model, right: ir.Model) -> Iterator[Fact]:
    """Initializers of the main graphs: by name, and those without a namesake by their contents."""
    ours, theirs = left.graph.initializers, right.graph.initializers
    for name, value in ours.items():
        other = theirs.get(name)
        if other is None or value.const_value is None or other.const_value is None:
            continue
        if weight_key(value, exact=True) != weight_key(other, exact=True):
            yield Fact("weight", name, _form(value.const_value), _changed(value.const_value, other.const_value))
    mine = {weight_key(value, exact=True) for value in ours.values() if value.const_value is not None}
    other_contents = {weight_key(value, exact=True) for value in theirs.values() if value.const_value is not None}
    for name, value in ours.items():
        tensor = value.const_value
        if name not in theirs and tensor is not None and weight_key(value, exact=True) not in other_contents:
            yield Fact("weight", name, _form(tensor), None)
    for name, value in theirs.items():
        tensor = value.const_value
        if name not in ours and tensor is not None and weight_key(value, exact=True) not in mine:
            yield Fact("weight", name, None, _form(tensor))


def _form(tensor: ir.TensorProtocol) -> str:
    return f"{tensor.dtype.name.lower()}[{','.join(str(dim) for dim in tensor.shape)}]"


def _changed(left: ir.TensorProtocol, right: ir.TensorProtocol) -> str:
    """The form of the second, and how far its numbers are from the first's, where they can be subtracted."""
    form = _form(right)
    if form != _form(left) or left.dtype == ir.DataType.STRING or left.dtype.is_integer():
        return form
    a, b = (tensor.view() if isinstance(tensor, FileTensor) else tensor.numpy() for tensor in (left, right))
    a, b = np.asarray(a).reshape(-1), np.asarray(b).reshape(-1)
    largest, count = 0.0, 0
    with np.errstate(all="ignore"):
        for start in range(0, a.size, _MOST):
            one, two = (part[start : start + _MOST].astype(np.float64) for part in (a, b))
            apart = ~((one == two) | (np.isnan(one) & np.isnan(two)))
            count += int(np.count_nonzero(apart))
            largest = max(largest, cast("float", np.abs(one - two)[apart].max(initial=0.0)))
    return f"{form}, {count} of {a.size} elements differ, by up to {largest:.3g}"
