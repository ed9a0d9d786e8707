"""What models are grown from: the graphs of all case files, whole and node by node.

The case files hold, for every rule, the idioms it is made for and the near misses it refuses; whoever
adds a rule adds its seeds. Operators that no case uses are operators that no rule looks at.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from typing import Any

import numpy as np
import onnx
from case_file import all_cases

from fuzz.engine import KINDS, CannotRun, feeds_for, run_all


@dataclass(frozen=True)
class Seed:
    """The model of one case, and which rule or pass it belongs to."""

    index: int
    subject: str
    title: str
    text: str

    @property
    def model(self) -> onnx.ModelProto:
        return onnx.parser.parse_model(self.text)


@dataclass(frozen=True)
class Graft:
    """One node of a seed with its constants; what it is fed with otherwise is known by type.

    `wants` has an array for a constant input, (dtype, shape) for another, None for one that is not given.
    """

    node: onnx.NodeProto
    wants: tuple[Any, ...]


@cache
def seeds() -> tuple[Seed, ...]:
    """Every case, whatever its verdict."""
    return tuple(Seed(i, case.subject, case.title, case.source) for i, case in enumerate(all_cases()))


@cache
def subjects() -> dict[str, tuple[Seed, ...]]:
    """Seeds by rule or pass: drawing a subject first gives a rule with few cases the same chance."""
    found: dict[str, list[Seed]] = {}
    for seed in seeds():
        found.setdefault(seed.subject, []).append(seed)
    return {name: tuple(of) for name, of in found.items()}


def opset_of(model: onnx.ModelProto) -> int:
    """The version of the default operator set."""
    return next((o.version for o in model.opset_import if o.domain in ("", "ai.onnx")), 1)


@cache
def opset_of_seed(index: int) -> int:
    return opset_of(seeds()[index].model)


@cache
def grafts(index: int) -> tuple[Graft, ...]:
    """The nodes of a seed that hold no graphs; empty where ONNX Runtime does not run it."""
    model = seeds()[index].model
    values: dict[str, Any] = {}
    for kind in KINDS:
        try:
            values = run_all(model, feeds_for(model, {}, kind))
            break
        except CannotRun:
            continue
    constants = {t.name for t in model.graph.initializer}
    found: list[Graft] = []
    for node in model.graph.node if values else ():
        if any(a.HasField("g") for a in node.attribute) or node.domain not in ("", "com.microsoft"):
            continue
        wants = tuple(_want(name, values, constants) for name in node.input)
        if "?" not in wants:
            found.append(Graft(node, wants))
    return tuple(found)


def _want(name: str, values: dict[str, Any], constants: set[str]) -> Any:
    if not name:
        return None
    value = values.get(name)
    if not isinstance(value, np.ndarray):
        return "?"
    return Constant(value) if name in constants else (value.dtype, value.shape)


class Constant:
    """An array that compares by identity, so that wants can be searched."""

    def __init__(self, array: np.ndarray) -> None:
        self.array = array
