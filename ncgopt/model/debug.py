"""What a model says about itself for people: doc strings and metadata. Taken away on purpose, or listed where lost.

The model's own `metadata_props` are no such thing: programs read their class names and settings there.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import onnx_ir as ir

from ncgopt.facts.nesting import graphs_within
from ncgopt.model import scope
from ncgopt.model.ondisk import FileTensor

_SHOWN = 3  # keys or names per line; a model may have thousands


@dataclass(frozen=True)
class Remarks:
    """Everything said about the parts of a model: what is compared is what is said, not where.

    Attributes:
        docs: doc strings, with the kind of thing they describe.
        metadata: entries, with the kind of thing that has them.
        annotations: names of tensors with a quantization annotation.
    """

    docs: Counter[tuple[str, str]]
    metadata: Counter[tuple[str, str, str]]
    annotations: frozenset[str]

    @staticmethod
    def of(model: ir.Model) -> Remarks:
        """All remarks of `model`; only texts are read, no weights."""
        docs: Counter[tuple[str, str]] = Counter()
        metadata: Counter[tuple[str, str, str]] = Counter()
        for kind, thing in _described(model):
            if thing.doc_string:
                docs[kind, thing.doc_string] += 1
            metadata.update((kind, key, text) for key, text in thing.metadata_props.items())
        return Remarks(docs, metadata, _annotated(model))

    def lost(self, later: Remarks) -> list[str]:
        """What is said here and nowhere in `later`, one line per kind; a text that moved is not lost."""
        kept = {text for _, text in later.docs}
        gone = Counter(kind for (kind, text), n in self.docs.items() if text not in kept for _ in range(n))
        lines = [f"{_count(n, f'doc string of a {kind}', f'doc strings of {kind}s')}" for kind, n in gone.items()]
        entries = {(key, text) for _, key, text in later.metadata}
        keys: dict[str, Counter[str]] = {}
        for (kind, key, text), n in self.metadata.items():
            if (key, text) not in entries:
                keys.setdefault(kind, Counter())[key] += n
        for kind, counts in keys.items():
            what = _count(counts.total(), f"metadata entry of a {kind}", f"metadata entries of {kind}s")
            lines.append(f"{what}: {_some([key for key, _ in counts.most_common()])}")
        missing = sorted(self.annotations - later.annotations)
        if missing:
            lines.append(
                f"{_count(len(missing), 'quantization annotation', 'quantization annotations')}: {_some(missing)}"
            )
        return lines


def strip(model: ir.Model) -> None:
    """Take away all doc strings, and the metadata of everything but the model itself."""
    model.doc_string = None
    for _, thing in _described(model):
        if isinstance(thing, ir.TensorProtoTensor | FileTensor):
            raw = thing.raw if isinstance(thing, ir.TensorProtoTensor) else thing.raw_proto
            raw.ClearField("doc_string")
        if not isinstance(thing, ir.TensorProtoTensor):
            thing.doc_string = None
        thing.metadata_props.clear()


def _described(model: ir.Model) -> Iterator[tuple[str, Any]]:
    """Every part of a model that can be described, and what it is called."""
    bodies = [function.graph for function in model.functions.values()]
    for graph in (graph for top in (model.graph, *bodies) for graph in graphs_within(top)):
        yield "function" if any(graph is body for body in bodies) else "graph", graph
        for value in (*graph.inputs, *graph.initializers.values()):
            yield from _of_value(value)
        for node in graph:
            yield "node", node
            for value in node.outputs:
                yield from _of_value(value)


def _of_value(value: ir.Value) -> Iterator[tuple[str, Any]]:
    yield "value", value
    if value.const_value is not None and value.is_initializer():
        yield "tensor", value.const_value


def _annotated(model: ir.Model) -> frozenset[str]:
    found: set[str] = set()
    for graph in graphs_within(model.graph):
        names = scope.values_of(graph)
        found |= {item.name for item in scope.get(graph).annotations if item.name in names}
    return frozenset(found)


def _count(number: int, one: str, several: str) -> str:
    return f"1 {one}" if number == 1 else f"{number} {several}"


def _some(names: list[str]) -> str:
    more = f" and {len(names) - _SHOWN} more" if len(names) > _SHOWN else ""
    return ", ".join(names[:_SHOWN]) + more
