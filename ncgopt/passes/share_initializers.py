"""Store equal weights once."""

from __future__ import annotations

import hashlib
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from typing import cast

import numpy as np
import onnx_ir as ir

from ncgopt import facts
from ncgopt.facts.determinism import is_updating
from ncgopt.facts.marks import mark_of
from ncgopt.facts.nesting import graphs_within
from ncgopt.model.ondisk import FileTensor
from ncgopt.passes.base import Pass
from ncgopt.rewrite.removal import remove_unused_initializer
from ncgopt.rewrite.rule import Claim
from ncgopt.rewrite.session import Session

_DIGEST, _TRANSPOSED_DIGEST = "ncgopt.digest", "ncgopt.digest.transposed"
_PEEKED = 16


@dataclass(frozen=True)
class ShareInitializers(Pass):
    """Let initializers with the same bytes, shape and type be one; also across subgraphs.

    Bytes are compared, so 0.0 and -0.0, and NaNs with other payloads, stay apart. So do the inputs of a
    BatchNormalization that trains: ONNX Runtime writes the new mean and variance over the old ones, where
    these are initializers, and whatever shares them is then read changed.
    """

    name = "share-initializers"
    claim = Claim.EXACT

    def run(self, model: ir.Model, session: Session) -> int:
        """Keep the first of each group."""
        count = 0
        for original, copies in _groups(model):
            for copy in copies:
                if session.spend(self.name, f"{copy.name} = {original.name}"):
                    count += 1
                    _share(model, original, copy, session)
        return count


def shareable(model: ir.Model) -> Iterator[ir.Value]:
    """Initializers in use that are neither interface nor protected; those of strings are left out."""
    for graph in graphs_within(model.graph):
        for value in graph.initializers.values():
            tensor = value.const_value
            plain = not (value.is_graph_input() or value.is_graph_output() or facts.is_kept(value))
            if not plain or tensor is None or tensor.dtype == ir.DataType.STRING or not value.uses():
                continue
            if not any(is_updating(use.node) for use in value.uses()):
                yield value


def _groups(model: ir.Model) -> Iterator[tuple[ir.Value, list[ir.Value]]]:
    """Initializers with equal contents, the first of each first. Sizes decide before bytes are read."""
    by_size: dict[tuple[object, ...], list[ir.Value]] = defaultdict(list)
    for value in shareable(model):
        tensor = value.const_value
        assert tensor is not None
        by_size[tensor.dtype, tuple(tensor.shape.numpy())].append(value)
    for group in by_size.values():
        for alike in _apart(group, peek):
            for first, *rest in _apart(alike, digest):
                yield first, rest


def _apart(group: Iterable[ir.Value], key: Callable[[ir.Value], bytes]) -> list[list[ir.Value]]:
    """Those with the same key together; who is alone is left out, and no key is computed for a group of one."""
    values = list(group)
    if len(values) < 2:
        return []
    found: dict[bytes, list[ir.Value]] = defaultdict(list)
    for value in values:
        found[key(value)].append(value)
    return [together for together in found.values() if len(together) > 1]


def peek(value: ir.Value, *, transposed: bool = False) -> bytes:
    """A few elements of an initializer, or of its transpose: enough to tell most weights apart.

    Reading all of a large model, only to find that no two of its weights are equal, takes longer than
    everything else together.
    """
    tensor = value.const_value
    assert tensor is not None
    size, dims = tensor.size, tuple(tensor.shape.numpy())
    if size <= 2 * _PEEKED or tensor.dtype.bitwidth % 8:
        return b""
    places = [step * (size - 1) // (_PEEKED - 1) for step in range(_PEEKED)]
    if transposed:
        rows, columns = dims
        # The element at row i, column j of the transpose is the one at row j, column i.
        places = [place % rows * columns + place // rows for place in places]
    if isinstance(tensor, FileTensor):
        return tensor.elements(places)
    return np.ascontiguousarray(tensor.numpy().reshape(-1)[places]).tobytes()


def digest(value: ir.Value, *, transposed: bool = False) -> bytes:
    """SHA-256 of the bytes of an initializer, or of its transpose; computed once per tensor."""
    tensor = value.const_value
    assert tensor is not None
    key = _TRANSPOSED_DIGEST if transposed else _DIGEST
    noted = cast("tuple[ir.TensorProtocol, bytes] | None", mark_of(value, key))
    if noted is not None and noted[0] is tensor:
        return noted[1]
    content = np.ascontiguousarray(tensor.numpy().T).tobytes() if transposed else tensor.tobytes()
    found = hashlib.sha256(content).digest()
    value.meta[key] = (tensor, found)
    return found


def _share(model: ir.Model, original: ir.Value, copy: ir.Value, session: Session) -> None:
    move_to_main_graph(model, original, copy, session)
    for use in tuple(copy.uses()):
        use.node.replace_input_with(use.idx, original)
    remove_unused_initializer(copy)


def move_to_main_graph(model: ir.Model, original: ir.Value, copy: ir.Value, session: Session) -> None:
    """Move `original` where every user sees it, unless it is there or both are in the same graph."""
    graph = original.graph
    if graph is None or graph is model.graph or graph is copy.graph or original.name is None:
        return
    del graph.initializers[original.name]
    original.name = session.fresh_name(original.name)
    model.graph.register_initializer(original)
