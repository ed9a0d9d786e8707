"""Terms: what an element of a tensor is, as an expression over the elements of the model's inputs.

Equal expressions are one object, so that `is` compares them.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import onnx


@dataclass(frozen=True, eq=False, repr=False)
class Term:
    """`op` applied to `args`: a `symbol` (attributes: input, index), a `constant` (its bytes) or an operator.

    `elem` is the ONNX element type; `attributes` are those of the operator that its value depends on.
    """

    op: str
    elem: int
    args: tuple[Term, ...]
    attributes: tuple

    @property
    def value(self) -> np.generic:
        """The number that a constant is."""
        return np.frombuffer(self.attributes[0], dtype=numpy_type(self.elem))[0]

    def __repr__(self) -> str:
        if self.op == "symbol":
            name, index = self.attributes
            return f"{name}[{', '.join(map(str, index))}]"
        if self.op == "constant":
            return str(self.value)
        inside = [*map(repr, self.args), *(f"{k}={v}" for k, v in self.attributes)]
        return f"{self.op}({', '.join(inside)})"


def numpy_type(elem: int) -> np.dtype:
    """The numpy type of an ONNX element type."""
    return onnx.helper.tensor_dtype_to_np_dtype(elem)


class Arena:
    """Makes terms, each only once."""

    def __init__(self) -> None:
        self._known: dict[tuple, Term] = {}

    def make(self, op: str, elem: int, args: tuple[Term, ...] = (), attributes: tuple = ()) -> Term:
        """The term of this operator."""
        key = (op, elem, args, attributes)
        if key not in self._known:
            self._known[key] = Term(*key)
        return self._known[key]

    def constant(self, value: object, elem: int) -> Term:
        """The term of a number."""
        return self.make("constant", elem, (), (np.asarray(value, numpy_type(elem)).tobytes(),))

    def symbols(self, name: str, elem: int, shape: tuple[int, ...]) -> np.ndarray:
        """A fresh symbol in every element."""
        made = np.empty(shape, object)
        for index in np.ndindex(*shape):
            made[index] = self.make("symbol", elem, (), (name, index))
        return made


@dataclass(frozen=True)
class Tensor:
    """`data` holds numbers (then it is `concrete`), or terms of element type `elem`."""

    elem: int
    data: np.ndarray

    @property
    def concrete(self) -> bool:
        """Whether there is no symbol in it."""
        return self.data.dtype != np.dtype(object)

    def terms(self, arena: Arena) -> np.ndarray:
        """The elements as terms."""
        if not self.concrete:
            return self.data
        lifted = np.empty(self.data.shape, object)
        for index in np.ndindex(*self.data.shape):
            lifted[index] = arena.constant(self.data[index], self.elem)
        return lifted


def inputs_of(terms: list[Term]) -> set[str]:
    """Names of the model's inputs that `terms` depend on."""
    found: set[str] = set()
    seen: set[Term] = set()
    todo = list(terms)
    while todo:
        term = todo.pop()
        if term in seen:
            continue
        seen.add(term)
        if term.op == "symbol":
            found.add(term.attributes[0])
        todo += term.args
    return found
