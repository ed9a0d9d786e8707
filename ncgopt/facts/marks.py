"""Notes on nodes, values, graphs and models, which live and die with them (onnx-ir's `meta`)."""

from __future__ import annotations

from collections.abc import Mapping, MutableMapping
from typing import cast

import onnx_ir as ir


def mark_of(thing: ir.Node | ir.Value | ir.Graph | ir.Model, key: str) -> object:
    """The note under `key`, or None; `meta` itself is untyped."""
    return _notes(thing).get(key)


def _notes(thing: ir.Node | ir.Value | ir.Graph | ir.Model) -> Mapping[str, object]:
    """The plain dict in `meta`: facts are notes, asked for more often than anything else, and it answers faster."""
    return cast("Mapping[str, object]", thing.meta.data)  # pyright: ignore[reportUnknownMemberType]


def take_notes(old: ir.Value, new: ir.Value) -> None:
    """Give `new`, which takes the place and name of `old`, its notes where it has none of its own."""
    notes = cast("MutableMapping[str, object]", new.meta)
    for key, note in _notes(old).items():
        notes.setdefault(key, note)
