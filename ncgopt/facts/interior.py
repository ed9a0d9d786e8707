"""Whether a group of nodes can be replaced as a whole: nothing outside reads what they compute on the way."""

from __future__ import annotations

from collections.abc import Iterable

import onnx_ir as ir


def is_closed(nodes: Iterable[ir.Node], root: ir.Node) -> bool:
    """Whether only `nodes` use the outputs of `nodes`, those of `root` left aside, and none is a graph output.

    Otherwise a fused operator would come on top of what it replaces instead of in its place.
    """
    inside = {*nodes, root}
    values = [value for node in inside if node is not root for value in node.outputs]
    return not any(v.is_graph_output() or any(use.node not in inside for use in v.uses()) for v in values)
