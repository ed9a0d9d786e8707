"""Where a new constant goes: into the initializers of its graph, or before a node of a function, which has none."""

from __future__ import annotations

import onnx_ir as ir

from ncgopt import facts
from ncgopt.rewrite.session import Session


def add_constant(graph: ir.Graph, before: ir.Node, constant: ir.Value, session: Session) -> None:
    """Make `constant`, which has a name and a tensor, part of `graph`, ahead of `before`."""
    assert constant.const_value is not None
    constant.const_value.name = constant.name
    constant.const_value = session.scratch.keep(constant.const_value)
    is_function = bool(graph.opset_imports) and not facts.inputs_are_enforced(graph)
    if not is_function:
        graph.register_initializer(constant)
        return
    holder = ir.Node(
        "", "Constant", [], [ir.AttrTensor("value", constant.const_value)], outputs=[constant],
        version=before.version if not before.domain else None, name=session.fresh_name(f"{constant.name}/Constant"),
    )  # fmt: skip
    graph.insert_before(before, holder)
