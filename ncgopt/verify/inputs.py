"""What a model's inputs are, as plain data that both processes understand."""

from __future__ import annotations

import ast
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TypeAlias

# A size, a symbol, or an expression over symbols such as `past + sequence`.
Dim: TypeAlias = int | str


@dataclass(frozen=True)
class TensorType:
    """A dense tensor; `dtype` is numpy's (or ml_dtypes') name or `string`, `dims` None for unknown rank."""

    dtype: str
    dims: tuple[Dim, ...] | None


@dataclass(frozen=True)
class SequenceType:
    """A list of values of one type."""

    of: InputType


@dataclass(frozen=True)
class OptionalType:
    """A value or nothing."""

    of: InputType


@dataclass(frozen=True)
class MapType:
    """A dict from integers or strings (`key`: `int64`, `string`) to values."""

    key: str
    of: InputType


InputType: TypeAlias = TensorType | SequenceType | OptionalType | MapType


@dataclass(frozen=True)
class Free:
    """Nothing is known about the values."""


@dataclass(frozen=True)
class Index:
    """Positions: from `low` (included) to `low + size`; `size` may depend on the binding."""

    size: Dim
    low: int = 0


@dataclass(frozen=True)
class Mask:
    """0 or 1, with at least one 1 in every row."""


@dataclass(frozen=True)
class Size:
    """Part of a shape, a count, a repetition: small and positive, `usual` in most draws."""

    usual: int = 2


@dataclass(frozen=True)
class Divisor(Size):
    """An integer that something is divided by; of floats, nothing is to be said."""


@dataclass(frozen=True)
class Exact:
    """Whole contents that fit, in turn; the last number is repeated as often as needed."""

    contents: tuple[tuple[int, ...], ...]


@dataclass(frozen=True)
class Condition:
    """Decides a branch: taken both ways in turn."""


@dataclass(frozen=True)
class Choice:
    """Compared with constants of the graph: each of them in turn, and a value that is none of them."""

    values: tuple[float, ...]


@dataclass(frozen=True)
class Words:
    """Strings (or map keys) that the model knows; some that it does not know are mixed in."""

    known: tuple[str | int, ...]


Domain: TypeAlias = Free | Index | Mask | Size | Exact | Condition | Choice | Words


@dataclass(frozen=True)
class Input:
    """One graph input that must be fed.

    Attributes:
        name: its name.
        type: its type, with every unknown dimension named.
        domain: what its values mean to the model, as far as its consumers tell.
    """

    name: str
    type: InputType
    domain: Domain = Free()


@dataclass(frozen=True)
class Symbol:
    """A dimension to be bound.

    Attributes:
        name: `dim_param`, or `input[axis]` for a dimension without a name.
        role: what it probably stands for: `batch`, `channel`, `spatial`, `length` or `rank`.
        group: dimensions with equal groups are probably equal (the same axis of numbered inputs).
        hints: sizes that weights or neighbours suggest, best first.
    """

    name: str
    role: str
    group: str
    hints: tuple[int, ...] = ()


@dataclass(frozen=True)
class Survey:
    """What a model expects.

    Attributes:
        inputs: inputs that must be fed.
        overridable: inputs with a default (an initializer), which feeds may override; IR 4 and later.
        symbols: dimensions to bind; terms of expressions are symbols, expressions are not.
        outputs: names of the outputs, in order.
        random: whether an operator draws random numbers.
        quantizes: whether an operator rounds floats to a quantization grid.
        operators: operators in use, functions of the model itself left out.
        bytes: of the file and its external data.
    """

    inputs: tuple[Input, ...]
    overridable: tuple[Input, ...]
    symbols: tuple[Symbol, ...]
    outputs: tuple[str, ...]
    random: bool
    quantizes: bool
    operators: tuple[str, ...]
    bytes: int = 0


def tensor_of(kind: InputType) -> TensorType:
    """The tensor inside sequences, optionals and maps."""
    while not isinstance(kind, TensorType):
        kind = kind.of
    return kind


def terms(dim: str, known: frozenset[str] | None = None) -> frozenset[str]:
    """Symbols in a dimension: several for an expression (`past + sequence`), else itself.

    A name such as `batch-size` only counts as an expression if all its terms are `known`.
    """
    try:
        tree = ast.parse(dim, mode="eval")
    except SyntaxError:
        return frozenset({dim})
    names = frozenset(node.id for node in ast.walk(tree) if isinstance(node, ast.Name))
    allowed = (ast.Expression, ast.BinOp, ast.Name, ast.Constant, ast.operator, ast.Load, ast.UnaryOp, ast.USub)
    if not names or isinstance(tree.body, ast.Name) or not all(isinstance(node, allowed) for node in ast.walk(tree)):
        return frozenset({dim})
    return names if known is None or names <= known else frozenset({dim})


def size_of(dim: Dim, binding: Mapping[str, int]) -> int:
    """A dimension under a binding of the symbols; expressions are evaluated.

    Raises:
        KeyError: a symbol is not bound.
    """
    if isinstance(dim, int):
        return dim
    if dim in binding:
        return binding[dim]
    return _evaluate(ast.parse(dim, mode="eval").body, binding)


def _evaluate(node: ast.expr, binding: Mapping[str, int]) -> int:
    match node:
        case ast.Constant(value=int(value)):
            return value
        case ast.Name(id=name):
            return binding[name]
        case ast.UnaryOp(op=ast.USub(), operand=operand):
            return -_evaluate(operand, binding)
        case ast.BinOp(left=left, op=operator, right=right):
            a, b = _evaluate(left, binding), _evaluate(right, binding)
            match operator:
                case ast.Add():
                    return a + b
                case ast.Sub():
                    return a - b
                case ast.Mult():
                    return a * b
                case ast.FloorDiv() | ast.Div() if b:
                    return a // b
                case _:
                    raise KeyError(ast.unparse(node))
        case _:
            raise KeyError(ast.unparse(node))
