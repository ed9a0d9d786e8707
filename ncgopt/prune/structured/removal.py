"""Which residual blocks go: one after the other, each time the one without which the output changes least."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import onnx_ir as ir

from ncgopt.errors import Usage
from ncgopt.prune.layers import Layer, find_layers
from ncgopt.prune.moments import Moments
from ncgopt.prune.settings import PruneSettings
from ncgopt.prune.structured.blocks import Block, find_blocks
from ncgopt.prune.unstructured.order import after, stages
from ncgopt.prune.unstructured.prune import Fit

Errors = Callable[[Sequence[Sequence[str]]], list[float]]
Calibrate = Callable[[Sequence[Layer]], dict[int, Moments]]


@dataclass(frozen=True)
class Found:
    """Blocks that may go, and what has to stay."""

    blocks: tuple[Block, ...]
    left: tuple[str, ...]


def found_in(model: ir.Model, settings: PruneSettings) -> Found:
    """The residual blocks of the model.

    Raises:
        Usage: there are none.
    """
    blocks, left = find_blocks(model, settings)
    if not blocks:
        reason = f": {left[0]}" if left else ""
        raise Usage(f"prune: no residual block of this model (x + f(x), of one shape) can be removed{reason}")
    return Found(tuple(blocks), tuple(left))


def choose(found: Found, errors: Errors, enough: Callable[[Sequence[str]], bool]) -> list[str]:
    """Names of the blocks that go.

    Args:
        found: all of them; one at least stays, unless there is only one.
        errors: of the output without these blocks, for each of several choices.
        enough: whether these are as many as were asked for.
    """
    gone: list[str] = []
    names = [block.name for block in found.blocks]
    while len(gone) < max(1, len(names) - 1) and not enough(gone):
        left = [name for name in names if name not in gone]
        costs = errors([[*gone, name] for name in left])
        gone.append(left[min(range(len(left)), key=costs.__getitem__)])
    return gone


def make_up(
    model: ir.Model,
    gone: Sequence[str],
    settings: PruneSettings,
    calibrate: Calibrate,
) -> None:
    """Fit the layers after the blocks that went to what they gave in the original, one after the other (`obs`).

    Args:
        model: without the blocks; an Identity has the name of each.
        gone: their names.
        settings: damping, stages, and what to keep.
        calibrate: moments of layers' inputs in the model as it is now, and in the original.
    """
    layers = [layer for layer in after(model.graph, gone, find_layers(model, settings)) if layer.observable]
    fits = [Fit.of(layer, settings) for layer in layers]
    for stage in stages(model.graph, layers, settings.stages):
        moments = calibrate([layers[key] for key in stage.layers])
        for place, key in enumerate(stage.layers):
            if key in stage.first and place in moments:
                fits[key].apply(moments[place], 0.0, settings, aims=True)
