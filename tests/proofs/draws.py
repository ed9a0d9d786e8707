"""What the inputs of a case hold: symbols, at several sizes; numbers where the model reads shapes or positions."""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Mapping

import numpy as np
import onnx
from onnx import TensorProto

from proofs.execute import CannotExecute, Executor, NeedsNumbers, NoMeaning, Value
from proofs.terms import Arena, Tensor, numpy_type

Feeds = dict[str, Tensor]
_SIZES = (
    (2, 3, 4, 1), (0, 2, 3, 1), (1, 1, 1, 1), (3, 2, 1, 4), (2, 2, 2, 2), (1, 2, 1, 2), (2, 0, 2, 0), (4, 4, 4, 4),
)  # fmt: skip
_PATTERNS = (
    (1, 0, 0),
    (0, 1, 1),
    (0, 1, 2, 3),
    (2, 3, 1),
    (-1, 0, -2, 1),
    (-3, 2, -1, 1),
    (2,),
    (1,),
    (0,),
    (3,),
    (6,),
)
"""What is tried where numbers are wanted: conditions both ways, positions from either end, sizes."""
RUNS = 8
"""How many sizes and draws a case is proven for, of those that its model takes."""


def feeds(model: onnx.ModelProto, arena: Arena) -> Iterator[tuple[Feeds, list[Value]]]:
    """Feeds, and the outputs that the model gives for them; at most `RUNS`.

    Raises:
        CannotExecute: why, where there are none.
    """
    found, why = 0, CannotExecute("no feeds fit")
    for binding in _bindings(model):
        fixed: set[str] = set()
        for pattern in itertools.chain([()], _PATTERNS):
            try:
                made = _feeds(model, arena, binding, fixed, pattern)
                outputs, fixed = _run(model, arena, made, fixed, binding, pattern)
            except NoMeaning:
                raise
            except CannotExecute as error:
                why = error
                continue
            yield made, outputs
            found += 1
            if found == RUNS:
                return
            if not fixed:
                break
    if not found:
        raise why


def _run(model, arena, made: Feeds, fixed: set[str], binding, pattern) -> tuple[list[Value], set[str]]:
    """Outputs; inputs of which numbers are wanted get them, in `made` too."""
    while True:
        try:
            return Executor(model, arena).run(made), fixed
        except NeedsNumbers as needs:
            if needs.inputs <= fixed:
                raise CannotExecute("numbers are wanted of what has them") from needs
            fixed |= needs.inputs
            made.update(_feeds(model, arena, binding, fixed, pattern or _PATTERNS[0]))


def _bindings(model: onnx.ModelProto) -> Iterator[Mapping[str, int]]:
    symbols = sorted({d.dim_param for v in model.graph.input for d in v.type.tensor_type.shape.dim if d.dim_param})
    seen: set[tuple[int, ...]] = set()
    for sizes in itertools.chain(_SIZES, itertools.product((1, 2, 3, 4, 6), repeat=min(len(symbols), 3))):
        chosen = tuple(itertools.islice(itertools.cycle(sizes or (2,)), len(symbols)))
        if chosen not in seen:
            seen.add(chosen)
            yield dict(zip(symbols, chosen, strict=True))


def _feeds(model: onnx.ModelProto, arena: Arena, binding: Mapping[str, int], fixed: set[str], pattern) -> Feeds:
    defaults = {t.name for t in model.graph.initializer}
    made: Feeds = {}
    for value in model.graph.input:
        tensor = value.type.tensor_type
        if value.name in defaults and model.ir_version < 4:
            continue
        shape = tuple(d.dim_value if d.HasField("dim_value") else binding.get(d.dim_param, 2) for d in tensor.shape.dim)
        if value.name in fixed:
            made[value.name] = Tensor(tensor.elem_type, _numbers(tensor.elem_type, shape, pattern))
        else:
            made[value.name] = Tensor(tensor.elem_type, arena.symbols(value.name, tensor.elem_type, shape))
    return made


def _numbers(elem: int, shape: tuple[int, ...], pattern) -> np.ndarray:
    dtype = numpy_type(elem)
    if dtype == np.dtype(object):
        raise CannotExecute("text decides where things go")
    numbers = np.array(pattern or (1,))
    if dtype.kind == "u":
        numbers = np.abs(numbers)
    if elem == TensorProto.BOOL:
        numbers = numbers != 0
    return np.resize(numbers, shape).astype(dtype)
