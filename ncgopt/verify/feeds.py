"""Inputs that a model is likely to accept, made from what is known about it."""

from __future__ import annotations

import math
import zlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Literal, TypeAlias, cast

import ml_dtypes
import numpy as np

from ncgopt.runtime.session import Array, Value
from ncgopt.verify.inputs import (
    Choice,
    Condition,
    Domain,
    Exact,
    Index,
    Input,
    InputType,
    MapType,
    Mask,
    OptionalType,
    SequenceType,
    Size,
    TensorType,
    Words,
    size_of,
)

Floats: TypeAlias = Literal["normal", "mixed", "unit", "small", "large", "bytes", "zeros", "ones", "odd"]
Ints: TypeAlias = Literal["meant", "small", "zeros", "ones"]

_LIMIT_BYTES = 1 << 28  # all feeds of one run together; larger ones say nothing new
_SEQUENCE_LENGTH = 3
_STRANGERS = ("", "a", "zebra", "42", "Zürich")


class TooLarge(ValueError):
    """A binding asks for more data than a check should need."""


@dataclass(frozen=True)
class Draw:
    """One way of filling inputs with data.

    Attributes:
        number: counts the draws; conditions and compared constants take turns by it.
        floats: `normal` (standard normal), `mixed` (the same with zeros, tiny and large values
            strewn in), `unit` (uniform in 0..1), `small` and `large` (normal times 0.01 and 10), `bytes` (whole
            numbers in 0..255), `zeros`, `ones`, `odd` (with NaN and infinities strewn in).
        ints: `meant` (by what the input means), `small` (0 and 1), `zeros`, `ones`.
        seed: makes the data reproducible.
        jitter: relative size of random changes to float inputs, in units of their dtype's
            rounding error; measures how well-conditioned a model is.
    """

    number: int = 0
    floats: Floats = "normal"
    ints: Ints = "meant"
    seed: int = 0
    jitter: float = 0.0

    def __str__(self) -> str:
        odd = [word for word, usual in ((self.floats, "normal"), (self.ints, "meant")) if word != usual]
        return f"draw {self.number}" + (f" ({', '.join(odd)})" if odd else "")


def make_feeds(inputs: Sequence[Input], binding: Mapping[str, int], draw: Draw) -> dict[str, Value]:
    """Data for every input.

    Raises:
        TooLarge: the binding asks for more than 256 MiB of data, or a negative size.
        KeyError: the binding leaves a symbol open.
    """
    budget = [float(_LIMIT_BYTES)]
    return {given.name: _value(given, given.type, binding, draw, budget) for given in inputs}


def jittered(feeds: Mapping[str, Value], draw: Draw) -> dict[str, Value]:
    """The same feeds with their floats moved by a few rounding errors, at random."""
    rng = np.random.default_rng(draw.seed + 1)

    def moved(value: Value) -> Value:
        if isinstance(value, list):
            return [moved(part) for part in value]
        if not isinstance(value, np.ndarray) or value.dtype.name not in _EPSILON:
            return value
        factor = 1.0 + draw.jitter * _EPSILON[value.dtype.name] * rng.uniform(-1, 1, value.shape)
        with np.errstate(over="ignore"):
            return cast(Value, (value.astype(np.float64) * factor).astype(value.dtype))

    return {name: moved(value) for name, value in feeds.items()}


def perturbed(default: Array, draw: Draw) -> Array:
    """Another value for an overridable input, near its default and of the same shape and dtype."""
    rng = np.random.default_rng(draw.seed + 2)
    if default.dtype.kind in "iu":
        return cast(Array, default + default.dtype.type(1))
    if default.dtype == bool:
        return ~default
    if default.dtype == object:
        return cast(
            Array, np.asarray([f"{word}x" for word in default.reshape(-1)], dtype=object).reshape(default.shape)
        )
    wide = default.astype(np.float64)
    scale = float(np.abs(wide).max(initial=0.0)) or 1.0
    return (wide * (1 + 0.25 * rng.random(wide.shape)) + 0.1 * scale).astype(default.dtype)


def _value(given: Input, kind: InputType, binding: Mapping[str, int], draw: Draw, budget: list[float]) -> Value:
    match kind:
        case SequenceType(of=of):
            count = _SEQUENCE_LENGTH + draw.number % 2
            return [_value(_part(given, i), of, binding, draw, budget) for i in range(count)]
        case OptionalType(of=of):
            empty = draw.number % 2 == 1
            return None if empty else _value(given, of, binding, draw, budget)
        case MapType(key=key, of=of):
            known = given.domain.known if isinstance(given.domain, Words) else ()
            keys: list[Any] = list(known[:8]) or (list(_STRANGERS) if key == "string" else [0, 1, 2])
            scalar = TensorType(of.dtype if isinstance(of, TensorType) else "float32", ())
            parts = {k: _value(_part(given, i), scalar, binding, draw, budget) for i, k in enumerate(keys)}
            return {k: part.item() if isinstance(part, np.ndarray) else part for k, part in parts.items()}
        case TensorType():
            return _tensor(given, kind, binding, draw, budget)


def _part(given: Input, number: int) -> Input:
    return replace(given, name=f"{given.name}#{number}")


def _tensor(given: Input, kind: TensorType, binding: Mapping[str, int], draw: Draw, budget: list[float]) -> Array:
    if kind.dims is None:
        base = given.name.partition("#")[0]
        shape = (binding[f"{base}[...]"],) * binding[f"rank of {base}"]
    else:
        shape = tuple(size_of(dim, binding) for dim in kind.dims)
    dtype = np.dtype(object) if kind.dtype == "string" else numpy_type(kind.dtype)
    budget[0] -= math.prod(shape) * dtype.itemsize
    if budget[0] < 0 or any(size < 0 for size in shape):
        raise TooLarge(f"{given.name} with shape {list(shape)}")
    rng = np.random.default_rng([draw.seed, draw.number, zlib.crc32(given.name.encode())])
    domain = given.domain
    if kind.dtype == "string":
        return _strings(rng, shape, domain)
    if dtype == np.bool_:
        return _bools(rng, shape, domain, draw, given.name)
    if (
        dtype.kind in "iu"
        or dtype.name.startswith(("int", "uint"))
        or isinstance(domain, Index | Mask | Choice | Size | Exact)
    ):
        return _whole(rng, shape, dtype, domain, draw, binding).astype(dtype)
    return _floats(rng, shape, draw, dtype)


def numpy_type(name: str) -> np.dtype[Any]:
    """The dtype of that name, from numpy or ml_dtypes."""
    return np.dtype(getattr(ml_dtypes, name) if hasattr(ml_dtypes, name) else name)


def _floats(rng: np.random.Generator, shape: tuple[int, ...], draw: Draw, dtype: np.dtype[Any]) -> Array:
    values = rng.standard_normal(shape)
    match draw.floats:
        case "mixed":
            kinds = rng.random(shape)
            values = np.where(kinds < 0.1, 0.0, values)
            values = np.where((kinds > 0.1) & (kinds < 0.15), values * 1e-3, values)
            values = np.where(kinds > 0.95, values * 8.0, values)
        case "unit":
            values = rng.random(shape)
        case "small":
            values = values * 0.01
        case "large":
            values = values * 10.0
        case "bytes":
            values = rng.integers(0, 256, shape).astype(np.float64)
        case "odd":
            places = rng.random(shape)
            values = np.select([places < 0.1, places < 0.2, places < 0.3], [np.nan, np.inf, -np.inf], values)
        case "zeros" | "ones":
            values = np.full(shape, 0.0 if draw.floats == "zeros" else 1.0)
        case "normal":
            pass
    if dtype.kind == "c":
        return (values + 1j * rng.standard_normal(shape)).astype(dtype)
    return np.asarray(values).astype(dtype)


def _whole(
    rng: np.random.Generator,
    shape: tuple[int, ...],
    dtype: np.dtype[Any],
    domain: Domain,
    draw: Draw,
    binding: Mapping[str, int],
) -> Array:
    if draw.ints in {"zeros", "ones"}:
        return np.full(shape, 0 if draw.ints == "zeros" else 1)
    if draw.ints == "small":
        return rng.integers(0, 2, shape)
    match domain:
        case Index(size=size, low=low):
            count = max(1, size_of(size, binding)) if isinstance(size, int) or size in binding else 1
            lowest = max(low, 0)  # a negative position counts from the end, which a sum of two may not
            return rng.integers(lowest, max(low + count, lowest + 1), shape)
        case Mask():
            return _mask(rng, shape, draw)
        case Choice(values=values):
            turn = draw.number % (len(values) + 1)
            return np.full(shape, values[turn] if turn < len(values) else max(values) + 1)
        case Exact(contents=contents):
            content = contents[draw.number % len(contents)]
            padded = content + content[-1:] * math.prod(shape)
            return np.asarray(padded[: math.prod(shape)], dtype=np.int64).reshape(shape)
        case Size(usual=usual):
            return rng.integers(max(1, usual - 1), usual + 2, shape) if draw.number % 2 else np.full(shape, usual)
        case _:
            pass
    match dtype.name:
        case "uint8":
            return rng.integers(0, 256, shape)
        case "int8":
            return rng.integers(-128, 128, shape)
        case "int4":
            return rng.integers(-8, 8, shape)
        case name if name.startswith("uint"):
            return rng.integers(0, 4 if name == "uint2" else 10, shape)
        case _:
            return rng.integers(0, 10, shape) if draw.number % 2 == 0 else rng.integers(-5, 20, shape)


def _mask(rng: np.random.Generator, shape: tuple[int, ...], draw: Draw) -> Array:
    """All ones first; then a run of ones from the left, at least one, as padding leaves it."""
    if draw.number % 2 == 0 or not shape or 0 in shape:
        return np.ones(shape, dtype=np.int64)
    kept = rng.integers(1, shape[-1] + 1, shape[:-1])
    return (np.arange(shape[-1]) < np.asarray(kept)[..., None]).astype(np.int64)


def _bools(rng: np.random.Generator, shape: tuple[int, ...], domain: Domain, draw: Draw, name: str) -> Array:
    if isinstance(domain, Mask) and shape:
        return _mask(rng, shape, draw).astype(bool)
    if math.prod(shape) > 1 and not isinstance(domain, Condition):
        return rng.random(shape) < 0.5
    # Both ways in turn: all conditions true, all false, then mixtures.
    turn = draw.number if draw.number < 2 else draw.number + zlib.crc32(name.encode())
    return np.full(shape, turn % 2 == 0)


def _strings(rng: np.random.Generator, shape: tuple[int, ...], domain: Domain) -> Array:
    known = [word for word in domain.known if isinstance(word, str)] if isinstance(domain, Words) else []
    words = known + list(_STRANGERS)
    picked: Array = np.empty(shape, dtype=object)
    flat: Any = picked.reshape(-1)
    for at, choice in enumerate(rng.integers(0, len(words), math.prod(shape))):
        flat[at] = words[choice]
    return picked


_EPSILON: Mapping[str, float] = {
    "float64": 2.0**-53,
    "float32": 2.0**-24,
    "float16": 2.0**-11,
    "bfloat16": 2.0**-8,
}
