"""The static graph's inputs and outputs with the user's names, and what of them is no longer open."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

import onnx_ir as ir

from ncgopt import facts
from ncgopt.capture.program import CannotCapture
from ncgopt.capture.specs import InputSpec, dtype_of
from ncgopt.dimensions import is_name
from ncgopt.model import load, save
from ncgopt.records import record

_WORD = re.compile(r"[A-Za-z_][\w.]*")


@record
class Fixed:
    """A dimension that was to stay open, and has one size in the static graph; `size` 0 where it equals `other`."""

    input: str
    axis: int
    symbol: str
    size: int
    other: str = ""

    def allows(self, sizes: Mapping[str, int]) -> bool:
        """Whether a static graph of this kind takes such sizes."""
        asked = sizes.get(self.symbol)
        return asked is None or asked == (self.size or sizes.get(self.other, asked))

    def __str__(self) -> str:
        what = f"has become {self.size}" if self.size else f"has become the same as {self.other}"
        return f"{self.symbol} (axis {self.axis} of {self.input}) {what}"


@record
class Interface:
    """What became of the inputs and outputs.

    Attributes:
        fixed: dimensions that are not open any more.
        unused: inputs that the static graph has not, since nothing depends on them.
        outputs: each output with its dimensions, by number or by name.
        unnamed: outputs' dimensions whose size is not known by any of the names, as `output[axis]`.
    """

    fixed: tuple[Fixed, ...]
    unused: tuple[str, ...]
    outputs: Mapping[str, tuple[int | str | None, ...]]
    unnamed: tuple[str, ...]


def rename(path: Path, specs: Sequence[InputSpec]) -> Interface:
    """Give the open dimensions of a model the names of `specs`, everywhere, and write it back.

    Inputs are matched by name, or by place where the exporter has names of its own. An output's dimension gets
    a name where the exporter gave it the same one as an input's, or where it follows from the graph.

    Raises:
        CannotCapture: an input has another element type or rank than was asked for.
    """
    loaded = load(path)
    model = loaded.model
    graph = model.graph
    given = [value for value in graph.inputs if value.name not in graph.initializers]
    pairs = _pairs(given, specs)
    names: dict[str, str] = {}
    fixed: list[Fixed] = []
    for value, spec in pairs:
        fixed += _match(value, spec, names)
        value.name = spec.name
    for value in _values(model):
        if value.shape is not None:
            value.shape = ir.Shape([_renamed(dim, names) for dim in value.shape])
    for value, spec in pairs:
        kept = value.shape
        assert kept is not None
        value.shape = ir.Shape(
            [dim if isinstance(dim, int) else asked for dim, asked in zip(kept, spec.dims, strict=True)]
        )
    known = {symbol for spec in specs for symbol in spec.symbols}
    outputs, unnamed = _outputs(model, known)
    save(model, path, external_data="auto", input_external=loaded.external, replaces=path)
    unused = tuple(spec.name for spec in specs if all(spec is not one for _, one in pairs))
    return Interface(tuple(fixed), unused, outputs, unnamed)


def _pairs(given: Sequence[ir.Value], specs: Sequence[InputSpec]) -> list[tuple[ir.Value, InputSpec]]:
    named = {spec.name: spec for spec in specs}
    if all(value.name in named for value in given):
        return [(value, named[value.name]) for value in given if value.name is not None]
    if len(given) == len(specs):
        return list(zip(given, specs, strict=True))
    return [(value, named[value.name]) for value in given if value.name in named]


def _match(value: ir.Value, spec: InputSpec, names: dict[str, str]) -> Iterator[Fixed]:
    """Learn what the exporter's names are called here; what is not open any more."""
    if value.dtype is not None and value.dtype.numpy() != dtype_of(spec.dtype):
        given = value.dtype.numpy().name
        raise CannotCapture(
            f"input {spec.name} is {given} in the static graph, and was to be {spec.dtype}; ask for that"
        )
    dims = list(value.shape) if value.shape is not None else [ir.SymbolicDim(None)] * len(spec.dims)
    if len(dims) != len(spec.dims):
        raise CannotCapture(
            f"input {spec.name} has {len(dims)} dimensions in the static graph, and not {len(spec.dims)}"
        )
    for axis, (dim, asked) in enumerate(zip(dims, spec.dims, strict=True)):
        if not isinstance(asked, str):
            continue
        if isinstance(dim, int):
            yield Fixed(spec.name, axis, asked, dim)
        elif dim.value is not None and is_name(dim.value):
            other = names.setdefault(dim.value, asked)
            if other != asked:
                yield Fixed(spec.name, axis, asked, 0, other)


def _renamed(dim: int | ir.SymbolicDim, names: Mapping[str, str]) -> int | ir.SymbolicDim:
    if isinstance(dim, int) or dim.value is None:
        return dim
    return ir.SymbolicDim(_WORD.sub(lambda found: names.get(found[0], found[0]), dim.value))


def _outputs(model: ir.Model, known: set[str]) -> tuple[dict[str, tuple[int | str | None, ...]], tuple[str, ...]]:
    """Name what can be proven of the outputs' sizes; what is still without a name."""
    facts.survey(model)
    facts.forget()
    found: dict[str, tuple[int | str | None, ...]] = {}
    unnamed: list[str] = []
    for value in model.graph.outputs:
        if value.shape is None:
            continue
        proven = facts.shape(value)
        dims: list[int | str | None] = []
        for axis, dim in enumerate(value.shape):
            said = dim if isinstance(dim, int) else dim.value
            fact = proven[axis] if proven is not None and len(proven) == len(value.shape) else None
            if not isinstance(said, int) and (said is None or not set(_WORD.findall(said)) <= known):
                text = fact if isinstance(fact, int) else str(fact) if fact is not None else None
                said = text if isinstance(text, int) or (text and set(_WORD.findall(text)) <= known) else None
                if said is None:
                    unnamed.append(f"{value.name}[{axis}]")
            dims.append(said)
        value.shape = ir.Shape([ir.SymbolicDim(None) if dim is None else dim for dim in dims])
        found[value.name or ""] = tuple(dims)
    return found, tuple(unnamed)


def _values(model: ir.Model) -> Iterator[ir.Value]:
    for graph in (model.graph, *model.graph.subgraphs()):
        yield from graph.inputs
        for node in graph:
            yield from node.outputs
    for function in model.functions.values():
        yield from function.inputs
        for node in function.all_nodes():
            yield from node.outputs
