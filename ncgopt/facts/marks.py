"""Notes on nodes, values, graphs and models, which live and die with them (onnx-ir's `meta`)."""

from __future__ import annotations

from collections.abc import Mapping, MutableMapping
from typing import cast

import onnx_ir as ir


def mark_of(thing: ir.Node | ir.Value | ir.Graph | ir.Model, key: str) -> object:
    """The note under `key`, or None; `meta` itself is untyped."""
    return cast("Mapping[str, object]", thing.meta).get(key)


def take_notes(old: ir.Value, new: ir.Value) -> None:
    """Give `new`, which takes the place and name of `old`, its notes where it has none of its own."""
    notes = cast("MutableMapping[str, object]", new.meta)
    for key, note in cast("Mapping[str, object]", old.meta).items():
        notes.setdefault(key, note)
