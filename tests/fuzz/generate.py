"""One random model per seed and index, always the same one, that ONNX Runtime runs."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import onnx
from onnx import helper

from fuzz.engine import KINDS, CannotRun, feeds_for, is_standard, is_valid, run_all, symbols_of
from fuzz.grow import pick, put_node, splice
from fuzz.mutate import MUTATIONS
from fuzz.seeds import Seed, grafts, opset_of, opset_of_seed, seeds, subjects
from fuzz.wrap import WRAPPINGS

_ELEMENTS = 20_000  # of one value: a mutated size may ask for any number
_NODES = 60
_RANDOM = {"RandomNormal", "RandomNormalLike", "RandomUniform", "RandomUniformLike", "Bernoulli", "Multinomial"}
Step = Callable[[onnx.ModelProto, np.random.Generator, dict[str, Any]], bool]


class NoModel(Exception):
    """What was drawn to start from does not run on ONNX Runtime (or is random)."""


@dataclass
class Draft:
    """A model that runs, and keeps running: a step that breaks it is undone.

    Attributes:
        sizes, kind: of the symbolic dims and of the feeds on which it runs.
        values: every value of the main graph on those feeds.
        story: what was done to it, for whoever reads a failure.
    """

    model: onnx.ModelProto
    rng: np.random.Generator
    sizes: dict[str, int]
    kind: str
    values: dict[str, Any] = field(default_factory=dict)
    story: list[str] = field(default_factory=list)

    def attempt(self, name: str, step: Step) -> None:
        """Do `step` on a copy, which takes the place of the model if it runs."""
        copy = onnx.ModelProto()
        copy.CopyFrom(self.model)
        if not step(copy, self.rng, self.values) or not copy.graph.output or len(copy.graph.node) > _NODES:
            return
        values = alive(copy, self.sizes, self.kind)
        if values is not None:
            self.model, self.values = copy, values
            self.story.append(name)


def alive(model: onnx.ModelProto, sizes: dict[str, int], kind: str) -> dict[str, Any] | None:
    """All values on feeds of this kind; None where the model is invalid, does not run, or explodes.

    Outputs without a type get element type and rank, which the checker wants and which say least.
    """
    try:
        values = run_all(model, feeds_for(model, sizes, kind))
    except CannotRun:
        return None
    if any(isinstance(v, np.ndarray) and v.size > _ELEMENTS for v in values.values()):
        return None
    for output in model.graph.output:
        value = values.get(output.name)
        if not output.HasField("type") and isinstance(value, np.ndarray):
            output.type.tensor_type.elem_type = _element(value)
            output.type.tensor_type.shape.dim.extend(onnx.TensorShapeProto.Dimension() for _ in value.shape)
    if any(_contradicts(output, values.get(output.name)) for output in model.graph.output):
        return None
    return None if is_standard(model) and not is_valid(model) else values


def _contradicts(output: onnx.ValueInfoProto, value: Any) -> bool:
    """Whether an output is declared with another shape than it has, where onnx cannot tell."""
    tensor = output.type.tensor_type
    if not isinstance(value, np.ndarray) or not tensor.HasField("shape"):
        return False
    dims = tensor.shape.dim
    pairs = zip(dims, value.shape, strict=False)
    return len(dims) != value.ndim or any(d.HasField("dim_value") and d.dim_value != n for d, n in pairs)


def _element(value: np.ndarray) -> int:
    return onnx.TensorProto.STRING if value.dtype == object else helper.np_dtype_to_tensor_dtype(value.dtype)


def generate(seed: int, index: int, only: str = "") -> Draft:
    """The model number `index` of `seed`; grown from cases of the rule or pass `only` where that is given.

    Raises:
        NoModel: the case that was drawn cannot be grown from.
    """
    rng = np.random.default_rng([seed, index])
    names = [only] if only else list(subjects())
    first = pick(rng, subjects()[names[index % len(names)]])
    draft = _begin(first, rng)
    for _ in range(int(rng.integers(0, 6))):
        _grow(draft)
    for _ in range(int(rng.integers(0, 8))):
        mutation = pick(rng, MUTATIONS)
        draft.attempt(mutation.__name__, mutation)
    for _ in range(int(rng.integers(0, 2))):
        _grow(draft)
    if rng.random() < 0.35:
        wrapping = pick(rng, WRAPPINGS)
        draft.attempt(wrapping.__name__, wrapping)
    return draft


def _begin(first: Seed, rng: np.random.Generator) -> Draft:
    model = first.model
    if any(node.op_type in _RANDOM for node in model.graph.node):
        raise NoModel("random on purpose")
    sizes = {symbol: int(pick(rng, (1, 2, 3, 4))) for symbol in symbols_of(model)}
    for tried in (sizes, dict.fromkeys(sizes, 2), dict.fromkeys(sizes, 1), {s: i + 2 for i, s in enumerate(sizes)}):
        for kind in KINDS:
            values = alive(model, tried, kind)
            if values is not None:
                return Draft(model, rng, tried, kind, values, [f"{first.subject}: {first.title}"])
    raise NoModel(f"{first.subject}: {first.title} does not run")


def _grow(draft: Draft) -> None:
    """Another case of the same operator set (now and then of any), or a node of one, on top."""
    everything = seeds()
    chosen = pick(draft.rng, everything)
    wanted = opset_of(draft.model)
    for _ in range(30 if draft.rng.random() < 0.9 else 0):
        if opset_of_seed(chosen.index) == wanted:
            break
        chosen = pick(draft.rng, everything)
    model = chosen.model
    if any(node.op_type in _RANDOM for node in model.graph.node):
        return
    if draft.rng.random() < 0.55:
        draft.attempt(f"{chosen.subject}: {chosen.title}", lambda m, rng, values: splice(m, model, rng, values))
        return
    options = grafts(chosen.index)
    if options:
        graft = pick(draft.rng, options)
        draft.attempt(f"node {graft.node.op_type}", lambda m, rng, values: put_node(m, graft, rng, values))
