"""Store a matrix and its transpose once."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass, field

import onnx_ir as ir

from ncgopt import facts
from ncgopt.passes._contents import corner_sample, digest, tensor_of
from ncgopt.passes.base import Pass
from ncgopt.passes.share_initializers import move_to_main_graph, shareable
from ncgopt.rewrite.removal import remove_unused_initializer
from ncgopt.rewrite.rule import Claim
from ncgopt.rewrite.session import Session


@dataclass(frozen=True)
class ShareTransposedInitializers(Pass):
    """Let a matrix that is the transpose of another (tied embeddings) be read from that other.

    Where the users are Gemm nodes, which transpose for free, that costs nothing. Elsewhere a
    Transpose is put in front, only with `transposes`: runtimes that do not fold it on loading
    compute it on every run. Kernels add up a transposed operand in another order, so results are
    rounded otherwise.
    """

    name = "share-transposed-initializers"
    claim = Claim.ROUNDS

    transposes: bool = field(default=False, metadata={"help": "also where a Transpose node is needed"})

    def run(self, model: ir.Model, session: Session) -> int:
        """Replace one of each pair."""
        return sum(self._share(model, original, copy, session) for original, copy in _transposed_pairs(model))

    def _share(self, model: ir.Model, original: ir.Value, copy: ir.Value, session: Session) -> int:
        users = list(copy.uses())
        by_gemm = all(_is_gemm_operand(use.node, use.idx) for use in users)
        if not (by_gemm or self.transposes) or not session.spend(
            self.name, f"{copy.name} = transposed {original.name}"
        ):
            return 0
        move_to_main_graph(model, original, copy, session)
        if by_gemm:
            for use in users:
                flag = "transA" if use.idx == 0 else "transB"
                turned = 1 - (facts.int_attribute(use.node, flag) or 0)
                use.node.attributes[flag] = ir.AttrInt64(flag, turned)
                use.node.replace_input_with(use.idx, original)
        else:
            _transpose_in_front(model, original, copy, session)
        remove_unused_initializer(copy)
        return 1


def _transposed_pairs(model: ir.Model) -> Iterator[tuple[ir.Value, ir.Value]]:
    """Pairs of matrices, each the other's transpose and not symmetric in shape alone."""
    matrices: dict[tuple[object, ...], list[ir.Value]] = defaultdict(list)
    for value in shareable(model):
        tensor = value.const_value
        assert tensor is not None
        dims = tuple(tensor.shape.numpy())
        if len(dims) == 2 and min(dims) > 1 and tensor.dtype.numpy().itemsize * tensor.size >= 64:
            matrices[tensor.dtype, *dims].append(value)
    replaced: set[ir.Value] = set()
    for (dtype, rows, columns), group in list(matrices.items()):
        others = matrices.get((dtype, columns, rows), [])
        if not others:
            continue
        by_sample: dict[bytes, list[ir.Value]] = defaultdict(list)
        for value in group:
            by_sample[corner_sample(value)].append(value)
        for other in others:
            if other in replaced:
                continue
            for original in by_sample.get(corner_sample(other, transposed=True), ()):
                if original is not other and original not in replaced and _are_transposed(original, other):
                    replaced.add(other)
                    yield original, other
                    break


def _are_transposed(a: ir.Value, b: ir.Value) -> bool:
    """Whether one matrix is the transpose of the other; the one with longer rows is read across."""
    across, along = (a, b) if tensor_of(a).shape.numpy()[0] <= tensor_of(b).shape.numpy()[0] else (b, a)
    return digest(across, transposed=True) == digest(along)


def _is_gemm_operand(node: ir.Node, index: int) -> bool:
    gemm = (node.domain, node.op_type) in (("", "Gemm"), ("com.microsoft", "FusedGemm"))
    twice = node.inputs[0] is node.inputs[1] if len(node.inputs) > 1 else False
    return gemm and index < 2 and not twice and not facts.is_kept(node)


def _transpose_in_front(model: ir.Model, original: ir.Value, copy: ir.Value, session: Session) -> None:
    assert copy.name is not None
    assert original.graph is not None
    name = session.fresh_name(f"{copy.name}/transposed")
    node = ir.Node(
        "", "Transpose", [original], [ir.AttrInt64s("perm", [1, 0])], num_outputs=1,
        version=model.graph.opset_imports.get("", 1), name=session.fresh_name(f"{copy.name}/Transpose"),
    )  # fmt: skip
    node.outputs[0].name = name
    first = next(iter(original.graph), None)
    if first is None:
        original.graph.append(node)
    else:
        original.graph.insert_before(first, node)
    for use in tuple(copy.uses()):
        use.node.replace_input_with(use.idx, node.outputs[0])
