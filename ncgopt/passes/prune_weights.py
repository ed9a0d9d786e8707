"""Set the least important weights to zero."""

from __future__ import annotations

import fnmatch
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

import numpy as np
import onnx_ir as ir

from ncgopt import facts
from ncgopt.errors import Usage
from ncgopt.facts.constants import Array
from ncgopt.passes._contents import tensor_of
from ncgopt.passes.base import Pass
from ncgopt.rewrite.rule import Claim
from ncgopt.rewrite.session import Session, all_nodes

# Where the weight sits, per operator that multiplies its input with one.
_WEIGHT_INPUTS = {"Conv": (1,), "ConvTranspose": (1,), "Gemm": (0, 1), "MatMul": (0, 1)}


@dataclass(frozen=True)
class PruneWeights(Pass):
    """Set the weights of smallest magnitude to zero (unstructured magnitude pruning).

    Han et al., "Learning both Weights and Connections for Efficient Neural Networks", 2015,
    without retraining. The zeros make the file compress better; ONNX Runtime computes with them as
    with any number, so nothing gets faster. A weight shared by several nodes is pruned once.
    """

    name = "prune-weights"
    claim = Claim.LOSSY

    sparsity: float = field(default=0.5, metadata={"help": "share of the weights that becomes zero, 0 to 1"})
    scope: str = field(
        default="layer", metadata={"help": "`layer`: that share of each weight; `global`: of all weights together"}
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
        cut = self._common_cut(weights) if self.scope == "global" else None
        count = 0
        for value in weights:
            array = np.asarray(tensor_of(value).numpy())
            pruned = _pruned(array, round(array.size * self.sparsity), cut)
            if not np.array_equal(pruned != 0, array != 0) and session.spend(self.name, f"weight {value.name}"):
                value.const_value = session.scratch.keep(ir.Tensor(pruned, dtype=facts.dtype(value), name=value.name))
                count += 1
        return count

    def _common_cut(self, weights: Sequence[ir.Value]) -> float:
        """The magnitude below which weights go, whichever they belong to."""
        magnitudes = np.empty(sum(tensor_of(value).size for value in weights), np.float32)
        end = 0
        for value in weights:
            start, end = end, end + tensor_of(value).size
            np.abs(tensor_of(value).numpy().astype(np.float32).reshape(-1), out=magnitudes[start:end])
        return _threshold(magnitudes, round(magnitudes.size * self.sparsity))

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


def _threshold(magnitudes: Array, count: int) -> float:
    """The `count`-th smallest magnitude; what is not larger goes. Below all where nothing goes."""
    return float(np.partition(magnitudes, count - 1)[count - 1]) if count else -1.0


def _pruned(array: Array, count: int, cut: float | None) -> Array:
    flat: Array = np.array(array).reshape(-1)
    magnitudes = np.abs(flat.astype(np.float32))
    if cut is not None:
        flat[magnitudes <= cut] = 0
    elif count:
        flat[np.argpartition(magnitudes, count - 1)[:count]] = 0
    return flat.reshape(array.shape)
