"""What operators cost: floating point operations, bytes moved and bytes of weights.

Conventions, the same everywhere in here:

- A multiply-add counts as 2 FLOPs, as hardware vendors count; a comparison, an addition, a division or
  a call of a transcendental function counts as 1 each.
- Integer arithmetic that does the work of floating point (MatMulInteger, ConvInteger) counts the same.
- Operators that only move or relabel data (Reshape, Transpose, Gather, Cast) cost 0 FLOPs; they do
  move bytes, except those that are a new view of the same bytes.
- An operator that is not known here, or one whose shapes are not known, has no cost (`None`). It is
  reported as unknown and never as 0.
"""

from ncgopt.cost.falls import falls, never_rises, product_cost
from ncgopt.cost.flops import conv_flops, elementwise_flops, matmul_flops, recurrent_flops
from ncgopt.cost.graph import GraphCost, OperatorCost, graph_cost
from ncgopt.cost.node import NodeCost, node_cost

__all__ = [
    "GraphCost",
    "NodeCost",
    "OperatorCost",
    "conv_flops",
    "elementwise_flops",
    "falls",
    "graph_cost",
    "matmul_flops",
    "never_rises",
    "node_cost",
    "product_cost",
    "recurrent_flops",
]
