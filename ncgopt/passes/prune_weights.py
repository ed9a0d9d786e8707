"""Set the least important weights to zero."""

from __future__ import annotations

import fnmatch
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

import numpy as np
import onnx_ir as ir

from ncgopt import facts
from ncgopt.errors import Usage
from ncgopt.passes._contents import tensor_of
from ncgopt.passes.base import Pass
from ncgopt.prune.unstructured.magnitude import common_shares, relative, without_smallest
from ncgopt.rewrite.rule import Claim
from ncgopt.rewrite.session import Session, all_nodes

# Where the weight sits, per operator that multiplies its input with one.
_WEIGHT_INPUTS = {"Conv": (1,), "ConvTranspose": (1,), "Gemm": (0, 1), "MatMul": (0, 1)}


@dataclass(frozen=True)
class PruneWeights(Pass):
    """Set the weights of smallest magnitude to zero (unstructured magnitude pruning).

    Han et al., "Learning both Weights and Connections for Efficient Neural Networks", 2015,
    without retraining. The zeros make the file compress better; ONNX Runtime computes with them as
    with any number, so nothing gets faster. A weight shared by several nodes is pruned once. It chooses as
    `ncgopt prune --method magnitude` does, which also measures what that costs; other methods need data.
    """

    name = "prune-weights"
    claim = Claim.LOSSY

    sparsity: float = field(default=0.5, metadata={"help": "share of the weights that becomes zero, 0 to 1"})
    scope: str = field(
        default="layer",
        metadata={"help": "`layer`: that share of each weight; `global`: of all, relative to each one's mean square"},
    )
    exclude: tuple[str, ...] = field(default=(), metadata={"help": "globs over weight and node names to leave alone"})

    def __post_init__(self) -> None:
        """Raise Usage for values that mean nothing."""
        if not 0.0 <= self.sparsity <= 1.0:
            raise Usage(f"prune-weights: sparsity is {self.sparsity}, but must be from 0 to 1")
        if self.scope not in ("layer", "global"):
            raise Usage(f"prune-weights: scope is {self.scope!r}, but must be layer or global")

    def run(self, model: ir.Model, session: Session) -> int:
        """Replace the tensors; their initializers keep names, shapes and types."""
        weights = [value for value in self._weights(model) if tensor_of(value).size]
        if not weights:
            return 0
        count = 0
        for value, share in zip(weights, self._shares(weights), strict=True):
            array = np.asarray(tensor_of(value).numpy())
            pruned = without_smallest(array, share)
            if not np.array_equal(pruned != 0, array != 0) and session.spend(self.name, f"weight {value.name}"):
                value.const_value = session.scratch.keep(ir.Tensor(pruned, dtype=facts.dtype(value), name=value.name))
                count += 1
        return count

    def _shares(self, weights: Sequence[ir.Value]) -> list[float]:
        """How much of each weight goes."""
        if self.scope == "layer":
            return [self.sparsity] * len(weights)
        scores = [relative(np.abs(tensor_of(value).numpy().astype(np.float32))) for value in weights]
        return common_shares(scores, round(self.sparsity * sum(score.size for score in scores)))

    def _weights(self, model: ir.Model) -> Iterator[ir.Value]:
        seen: set[ir.Value] = set()
        for node in all_nodes(model):
            if node.domain or facts.is_kept(node) or self._excluded(node.name):
                continue
            for index in _WEIGHT_INPUTS.get(node.op_type, ()):
                value = facts.input_of(node, index)
                if value is None or value in seen or not value.is_initializer() or self._excluded(value.name):
                    continue
                seen.add(value)
                if facts.is_constant(value) and len(tensor_of(value).shape) >= 2 and facts.is_float(value):
                    yield value

    def _excluded(self, name: str | None) -> bool:
        return any(fnmatch.fnmatchcase(name or "", pattern) for pattern in self.exclude)
