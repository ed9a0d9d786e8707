"""Named pipelines. `rules` stands for all rules that need not be asked for, applied together until none fires."""

from __future__ import annotations

from collections.abc import Mapping

RULES_GROUP = "rules"

_DEFAULT = (
    # Ahead of everything: a body says more once it is known what it is called with.
    "inline-functions",
    # Constants first: rules and folding see initializers only where a Constant node was lifted.
    "lift-constants",
    "drop-dead-nodes",
    # Before the rules: what depends on a branch has no known shape.
    "inline-branches",
    "unroll-loops",
    # Before the rules: what is read off an intermediate tensor's shape keeps that tensor from being fused.
    "share-sizes",
    RULES_GROUP,
    "fold-constants",
    # After folding, which makes equal constants out of equal computations.
    "share-initializers",
    "share-transposed-initializers",
    # After sharing constants: subexpressions are equal only if their inputs are the same value.
    "share-subexpressions",
    # After sharing, which brings what several subgraphs read to where all of them see it.
    "sink-initializers",
    # Last of all: it waits for the rest anyway.
    "fuse-slices-into-split",
)

PRESETS: Mapping[str, tuple[str, ...]] = {
    "default": _DEFAULT,
    "exact": _DEFAULT,
    "size": _DEFAULT,
    "none": (),
}
"""Pass and rule names per preset, in order."""

PRESET_OPTIONS: Mapping[str, Mapping[str, Mapping[str, object]]] = {
    "size": {"share-transposed-initializers": {"transposes": True}},
}
"""Options that a preset sets, under those of the user."""

EXACT_PRESETS = frozenset({"exact"})
"""Presets from which everything that is not EXACT is left out."""
