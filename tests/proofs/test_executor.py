"""The symbolic executor means what ONNX Runtime computes: terms with numbers put in give its outputs."""

from __future__ import annotations

import math

import numpy as np
import onnx
import pytest
from case_file import Case
from semantics import CannotRun, run_ort, run_reference

from proofs import prove  # noqa: F401  (registers the operators)
from proofs.draws import feeds
from proofs.execute import CannotExecute
from proofs.rationals import Polynomial, Rational, TooLarge
from proofs.reals import Reals
from proofs.record import firing_cases
from proofs.terms import Arena, Tensor, Term, numpy_type

_FUNCTIONS = {
    "exp": math.exp, "log": math.log, "sqrt": math.sqrt, "tanh": math.tanh, "erf": math.erf, "pow": math.pow,
    "max": max, "relu": lambda x: max(x, 0.0), "less": lambda a, b: float(a < b), "at most": lambda a, b: float(a <= b),
    "equal": lambda a, b: float(a == b), "round": np.rint,
    "where": lambda c, a, b: a if c else b,
}  # fmt: skip

_ELEMENTS = 4  # of each output


class Numbers:
    """Evaluates normal forms."""

    def __init__(self, reals: Reals, data: dict[str, np.ndarray]) -> None:
        self._reals, self._data = reals, data
        self._known: dict[int, float] = {}

    def of(self, term: Term) -> float:
        return self._quotient(self._reals.of(term))

    def _quotient(self, value: Rational) -> float:
        return self._sum(value.above) / self._sum(value.below)

    def _sum(self, value: Polynomial) -> float:
        return float(sum(float(c) * math.prod(self._atom(a) ** e for a, e in m) for m, c in value.terms.items()))

    def _atom(self, index: int) -> float:
        if index not in self._known:
            atom = self._reals.atoms[index]
            if atom.term is not None:
                name, at = atom.term.attributes
                self._known[index] = float(self._data[name][at])
            elif atom.function in _FUNCTIONS:
                self._known[index] = float(_FUNCTIONS[atom.function](*map(self._quotient, atom.args)))
            else:
                pytest.skip(f"{atom.function} is an unknown function")
        return self._known[index]


def drawn(tensor: Tensor, rng: np.random.Generator) -> np.ndarray:
    if tensor.concrete:
        return tensor.data
    dtype = numpy_type(tensor.elem)
    if dtype == np.bool_:
        return rng.random(tensor.data.shape) < 0.5
    if dtype.kind in "iu":
        return rng.integers(0, 5, tensor.data.shape).astype(dtype)
    if dtype == np.dtype(object):
        pytest.skip("text")
    return np.asarray(rng.standard_normal(tensor.data.shape)).astype(dtype)


CASES = [
    case
    for cases in firing_cases().values()
    for case in cases
    if "integers wrap" not in case.title and "integers overflow" not in case.title
]


@pytest.mark.parametrize("case", CASES, ids=str)
def test_terms_are_what_the_runtime_computes(case: Case):
    for text in (case.source, case.golden):
        model = onnx.parser.parse_model(text)
        try:
            fed, outputs = next(feeds(model, Arena()))
        except CannotExecute as error:
            pytest.skip(str(error))
        data = {name: drawn(tensor, np.random.default_rng(0)) for name, tensor in fed.items()}
        try:
            expected = run_ort(model, data)
        except CannotRun:
            try:
                expected = run_reference(model, data)
            except CannotRun as error:
                pytest.skip(str(error))
        numbers = Numbers(Reals(0.0), data)
        for tensor, array in zip(outputs, expected, strict=True):
            assert tensor.data.shape == np.shape(array)
            if tensor.concrete:
                np.testing.assert_array_equal(tensor.data, array)
                continue
            wanted = np.asarray(array, np.float64).reshape(-1)
            some = np.random.default_rng(0).permutation(wanted.size)[:_ELEMENTS]
            try:
                found = [numbers.of(tensor.data.reshape(-1)[k]) for k in some]
            except (TooLarge, ZeroDivisionError, ValueError, OverflowError) as error:
                pytest.skip(f"{error!r}")
            scale = max(1.0, float(np.max(np.abs(wanted), initial=0.0)))
            wide = 1e-4 if np.asarray(array).dtype.itemsize > 2 else 2e-2
            np.testing.assert_allclose(found, wanted[some], rtol=wide, atol=wide * scale)
