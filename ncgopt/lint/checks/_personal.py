"""Texts of a model in which a path of somebody's machine may stand, and how to find and shorten it."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import onnx_ir as ir

from ncgopt.facts.nesting import graphs_within
from ncgopt.model.ondisk import FileTensor

_PART = r"[^\s/\\:\"'<>|,;()\[\]{}]+"
_HOMES = rf"(?:/(?:home|Users)/{_PART}|/root|[A-Za-z]:[\\/](?:Users|Documents and Settings)[\\/]{_PART})"
_ROOTS = r"/(?:tmp|mnt|opt|usr|var|srv|private|workspace|workspaces|content|scratch|data|work)"
# Nodes are called like the modules that made them, /model/layers.0/Add, so a name needs a home to be suspicious.
_IN_NAME = re.compile(rf"{_HOMES}(?:[\\/]{_PART})+")
_IN_TEXT = re.compile(rf"(?<![\w./])(?:{_HOMES}|{_ROOTS}/{_PART}|[A-Za-z]:[\\/]{_PART})(?:[\\/]{_PART})*")


@dataclass(frozen=True)
class Text:
    """One text of a model.

    Attributes:
        kind: what it is, for people.
        where: whose it is.
        text: the text.
        owner: the object that has it.
        key: of a metadata entry; empty for a doc string or a name.
        is_name: whether it is a name.
    """

    kind: str
    where: str
    text: str
    owner: Any
    key: str = ""
    is_name: bool = False


def leak_of(text: str, *, name: bool = False) -> str:
    """The first path of a machine in `text`; empty where there is none."""
    found = (_IN_NAME if name else _IN_TEXT).search(text)
    return found[0] if found else ""


def shortened(text: str, *, name: bool = False) -> str:
    """The text with each such path cut down to its last part."""
    return (_IN_NAME if name else _IN_TEXT).sub(lambda found: re.split(r"[\\/]", found[0])[-1], text)


def texts(model: ir.Model) -> Iterator[Text]:
    """Every doc string, metadata entry and name of a node, and the doc strings of weights."""
    yield from _described("model", "the model", model)
    for function in model.functions.values():
        yield from _of_graph(function.graph, f"function {function.name}")
    yield from _of_graph(model.graph, "graph")


def _of_graph(top: ir.Graph, name: str) -> Iterator[Text]:
    for graph in graphs_within(top):
        yield from _described("graph", graph.name or name, graph)
        for value in (*graph.inputs, *graph.initializers.values()):
            yield from _described("value", value.name or "", value)
            tensor = value.const_value
            if isinstance(tensor, ir.TensorProtoTensor | FileTensor):
                yield from _described("weight", value.name or "", tensor)
        for node in graph:
            where = node.name or (node.outputs[0].name if node.outputs else "") or node.op_type
            yield from _described("node", where, node)
            if node.name:
                yield Text("name of node", "", node.name, node, is_name=True)
            for value in node.outputs:
                yield from _described("value", value.name or "", value)


def _described(kind: str, where: str, owner: Any) -> Iterator[Text]:
    if owner.doc_string:
        yield Text(f"doc string of {kind}", where, owner.doc_string, owner)
    for key, text in owner.metadata_props.items():
        yield Text(f"metadata of {kind}", f"{where}, {key}", text, owner, key)
