"""Putting a replacement in place: names, constants, metadata, and taking out what died."""

from __future__ import annotations

from collections.abc import Sequence

import onnx_ir as ir

from ncgopt import facts
from ncgopt.rewrite.placement import add_constant
from ncgopt.rewrite.removal import remove_dead, remove_node
from ncgopt.rewrite.replacement import may_take_name, replace_value
from ncgopt.rewrite.session import Session
from ncgopt.rewrite.tape import Tape

_FEW = 8
"""Users of a value that are looked at again when it loses one: what needs a sole user, or a few that are alike."""


def anchored(node: ir.Node, graph: ir.Graph, new: list[ir.Value | None], tape: Tape) -> list[ir.Value | None]:
    """The new values, with an Identity where a graph output would otherwise lose its own name.

    An output of a graph must be produced inside it, under its own name. A value that comes from
    outside, is an input, an initializer or another output cannot take that name.
    """
    anchored: list[ir.Value | None] = []
    for old, value in zip(node.outputs, new, strict=True):
        if value is not None and old.is_graph_output():
            recorded = any(value.producer() is n for n in tape.nodes)
            taken = any(value is other for other in anchored)
            if taken or not (recorded or may_take_name(value, graph)):
                value = tape.op("Identity", [value])
        anchored.append(value)
    return anchored


def install(
    node: ir.Node,
    graph: ir.Graph,
    new: Sequence[ir.Value | None],
    tape: Tape,
    session: Session,
    opsets: dict[str, int],
) -> list[ir.Node]:
    """Put what `tape` recorded before `node`, let `new` stand for its outputs, and remove what nobody needs now.

    Returns:
        The nodes around the change, in a fixed order, some more than once: what is new, and what now reads
        other values, is read by others, or shares a value with fewer.
    """
    _name_new(node, new, tape, session)
    _add_constants(graph, node, tape, session)
    for made in tape.nodes:
        opsets.setdefault(made.domain, made.version or 1)
    unnamed = [made for made in tape.nodes if made.name is None]
    graph.insert_before(node, tape.nodes)
    for made in unnamed:
        made.name = None  # onnx-ir gives each node a name when it enters a graph
    touched: list[ir.Node] = list(tape.nodes)
    for old, value in zip(node.outputs, new, strict=True):
        if value is not None:
            touched.extend(use.node for use in old.uses())
            replace_value(graph, old, value, fresh=any(value.producer() is n for n in tape.nodes))
            if (producer := value.producer()) is not None:
                touched.append(producer)
            touched.extend(_few_users(value))
    for value in new:
        if value is not None:
            facts.forget_from(value)
    used = remove_node(node)
    removed = [node, *remove_dead(used)]
    for value in used:
        # A sole-user condition of a neighbour may hold now.
        if (producer := value.producer()) is not None and producer.graph is not None:
            touched.append(producer)
        touched.extend(_few_users(value))
    _merge_metadata(tape.nodes, removed)
    return touched


def _few_users(value: ir.Value) -> list[ir.Node]:
    """Users of a value that has few: going through those of a constant that thousands share would take long."""
    return [use.node for use in value.uses()] if facts.user_count(value) <= _FEW else []


def _name_new(node: ir.Node, new: Sequence[ir.Value | None], tape: Tape, session: Session) -> None:
    stem = node.name or next((v.name for v in node.outputs if v.name), None) or node.op_type
    final = tape.nodes[-1] if tape.nodes else None
    for made in tape.nodes:
        # The last node stands where the root stood and may have its name, which leaves with it. Where the
        # model leaves nodes unnamed, so do we: names are bytes.
        if made is final and node.name:
            made.name = node.name
        elif node.name or made.name:
            made.name = session.fresh_name(made.name or f"{stem}/{made.op_type}")
        for output in made.outputs:
            if not any(output is value for value in new):
                output.name = session.fresh_name(f"{made.name or stem}:out")
    for old, value in zip(node.outputs, new, strict=True):
        if value is not None and value.name is None:
            value.name = old.name or session.fresh_name(f"{stem}:out")


def _add_constants(graph: ir.Graph, node: ir.Node, tape: Tape, session: Session) -> None:
    for constant in tape.constants:
        constant.name = session.fresh_name(constant.name or f"{node.name or node.op_type}:const")
        add_constant(graph, node, constant, session)


def _merge_metadata(made: Sequence[ir.Node], removed: Sequence[ir.Node]) -> None:
    merged: dict[str, str] = {}
    for gone in reversed(removed):  # the root is first in the list and has the last word
        merged.update(gone.metadata_props)
    for node in made:
        node.metadata_props.update({k: v for k, v in merged.items() if k not in node.metadata_props})
    said = next((node.doc_string for node in removed if node.doc_string), None)
    if made and said and not made[-1].doc_string:
        made[-1].doc_string = said
