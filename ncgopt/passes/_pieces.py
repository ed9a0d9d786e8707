"""Copies of nodes that each compute one piece, and the node or nodes that put the pieces together."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
import onnx_ir as ir

from ncgopt import facts
from ncgopt.facts.constants import Array
from ncgopt.memory.axes import Along, Range
from ncgopt.memory.region import Region, joints
from ncgopt.rewrite.placement import add_constant
from ncgopt.rewrite.removal import remove_dead
from ncgopt.rewrite.replacement import replace_value
from ncgopt.rewrite.session import Session

PIECE = "/piece"  # in the names of nodes that compute one
_SLICE_INPUTS = 10  # operator set since which Slice takes its bounds as inputs


def ranges(region: Region, piece: Range) -> dict[ir.Value, Range] | None:
    """The places of every value that one piece takes; None where two nodes need different places of one."""
    found: dict[ir.Value, Range] = {region.exit: piece} if region.axis is not None else {}
    for node in reversed(region.nodes):
        for value, need in zip(node.inputs, region.needs[node], strict=True):
            if value is None or need is None:
                continue
            own = found.get(node.outputs[0], piece)
            wanted = need.window.of(own) if need.window is not None else own
            if wanted[0] >= wanted[1] or found.setdefault(value, wanted) != wanted:
                return None
    return found


def can_be_cut(region: Region, pieces: Sequence[Range]) -> bool:
    """Whether every piece is one of each value, and at least two are there."""
    return (
        len(pieces) > 1
        and (pieces[0][0], pieces[-1][1]) == (0, region.length)
        and all(ranges(region, piece) is not None for piece in pieces)
    )


@dataclass
class Cutter:
    """Puts pieces in the place of a region."""

    graph: ir.Graph
    region: Region
    session: Session
    _made: dict[tuple[ir.Value, int, Range], ir.Value] = field(
        default_factory=dict[tuple[ir.Value, int, Range], ir.Value]
    )

    def cut(self, pieces: Sequence[Range]) -> None:
        """Do it; ask `can_be_cut` first."""
        exit, root = self.region.exit, self.region.nodes[-1]
        results = [self._piece(piece, first=piece is pieces[0]) for piece in pieces]
        if self.region.axis is not None:
            result = self._node("Concat", results, root, axis=self.region.axis)
        else:
            result = results[0]
            for part in results[1:]:
                result = self._node("Add", [result, part], root)
        replace_value(self.graph, exit, result, fresh=True)
        remove_dead([exit])

    def _piece(self, piece: Range, *, first: bool) -> ir.Value:
        places = ranges(self.region, piece)
        assert places is not None
        made: dict[ir.Value, ir.Value] = {}
        for node in self.region.nodes:
            inputs: list[ir.Value | None] = []
            for value, need in zip(node.inputs, self.region.needs[node], strict=True):
                if value is not None and need is not None:
                    inputs.append(made[value] if value in made else self._part(node, value, need, places[value]))
                else:
                    inputs.append(value)
            root = node is self.region.nodes[-1]
            if root and self.region.axis is None and not first:
                inputs = inputs[:2]  # a bias counts once
            made[node.outputs[0]] = self._copy(node, inputs, places.get(node.outputs[0], piece))
        return made[self.region.exit]

    def _copy(self, node: ir.Node, inputs: list[ir.Value | None], places: Range) -> ir.Value:
        attributes = dict(node.attributes.data)
        needs = self.region.needs[node]
        head = needs[0]
        if node.op_type in ("Conv", "MaxPool", "AveragePool") and head is not None:
            if head.window is not None:
                attributes["pads"] = ir.AttrInt64s("pads", self._pads(node, head, places))
                attributes.pop("auto_pad", None)
            elif node.op_type == "Conv" and len(needs) > 1 and needs[1] == Along(0):
                attributes["group"] = ir.AttrInt64("group", places[1] - places[0])
        if node.op_type == "Reshape":
            inputs = [inputs[0], self._target(node, places)]
        copy = ir.Node(
            node.domain, node.op_type, inputs, list(attributes.values()), num_outputs=1, version=node.version,
            name=self.session.fresh_name(f"{node.name or node.outputs[0].name}{PIECE}"),
        )  # fmt: skip
        return self._placed(copy, node.outputs[0])

    def _pads(self, node: ir.Node, head: Along, places: Range) -> list[int]:
        dims = facts.shape(node.outputs[0]) or ()
        spatial = len(dims) - 2
        pads = list(facts.ints_attribute(node, "pads") or (0,) * (2 * spatial))
        assert head.window is not None
        pads[head.axis - 2], pads[head.axis - 2 + spatial] = head.window.pads(places)
        return pads

    def _target(self, node: ir.Node, places: Range) -> ir.Value:
        target = facts.constant(node.inputs[1])
        assert target is not None
        axis, array = self.region.axes[node.outputs[0]], np.array(target)
        if array[axis] != -1:
            array[axis] = places[1] - places[0]
        return self._constant(node, array, "shape")

    def _part(self, node: ir.Node, value: ir.Value, need: Along, places: Range) -> ir.Value:
        key = (value, need.axis, places)
        if key not in self._made:
            self._made[key] = self._new_part(node, value, need.axis, places)
        return self._made[key]

    def _new_part(self, node: ir.Node, value: ir.Value, axis: int, places: Range) -> ir.Value:
        dims = facts.shape(value)
        if dims is not None and places == (0, dims[axis]):
            return value
        array = facts.constant(value)
        if array is not None:
            cut = [slice(None)] * array.ndim
            cut[axis] = slice(*places)
            return self._constant(node, array[tuple(cut)], f"{value.name}/piece")
        joined = joints(value, axis)
        if places in joined:
            part = value.producer()
            assert part is not None
            found = part.inputs[joined.index(places)]
            assert found is not None
            return found
        if self.graph.opset_imports.get("", 1) < _SLICE_INPUTS:
            return self._node("Slice", [value], node, axes=[axis], starts=places[:1], ends=places[1:])
        bounds = [self._constant(node, np.array([n], np.int64), "bound") for n in (*places, axis)]
        return self._node("Slice", [value, *bounds], node)

    def _constant(self, before: ir.Node, array: Array, wish: str) -> ir.Value:
        tensor = ir.tensor(np.ascontiguousarray(array), name=self.session.fresh_name(wish))
        value = ir.Value(
            name=tensor.name, shape=ir.Shape(array.shape), type=ir.TensorType(tensor.dtype), const_value=tensor
        )
        add_constant(self.graph, before, value, self.session)
        return value

    def _node(
        self, operator: str, inputs: Sequence[ir.Value | None], like: ir.Node, **attributes: int | Sequence[int]
    ) -> ir.Value:
        node = ir.Node(
            "", operator, inputs, ir.convenience.convert_attributes(attributes), num_outputs=1,
            version=self.graph.opset_imports.get("", 1), name=self.session.fresh_name(f"{like.name}/{operator}"),
        )  # fmt: skip
        return self._placed(node, None)

    def _placed(self, node: ir.Node, like: ir.Value | None) -> ir.Value:
        """Just before the end of the region: all that it reads is there."""
        value = node.outputs[0]
        value.name = self.session.fresh_name(f"{like.name if like is not None else node.name}/piece")
        if like is not None and like.type is not None:
            value.type = like.type
        self.graph.insert_before(self.region.nodes[-1], node)
        return value
