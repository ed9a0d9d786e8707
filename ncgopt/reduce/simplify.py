"""Making a part smaller that cannot lose a node any more: fewer outputs, smaller sizes, plainer numbers."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import Any, cast

import numpy as np
import onnx

from ncgopt.reduce.ddmin import ddmin
from ncgopt.reduce.specimen import Specimen, array_of, replace, tensors
from ncgopt.runtime.session import Array

Shows = Callable[[Specimen], bool]
_SIZES = (1, 2, 3, 4, 8, 16)
_DIGITS = (0, 1)


def fewer_outputs(specimen: Specimen, shows: Shows) -> Specimen:
    """Leave out outputs that need not be looked at; what computes them may then be gone as well."""
    everything = list(specimen.model.graph.output)

    def only(outputs: Sequence[onnx.ValueInfoProto]) -> Specimen:
        model = specimen.copy()
        del model.graph.output[:]
        model.graph.output.extend(outputs)
        return Specimen(model, specimen.feeds)

    return only(ddmin(everything, lambda outputs: shows(only(outputs))))


def smaller_sizes(specimen: Specimen, shows: Shows) -> Specimen:
    """Make dimensions smaller, everywhere at once where they are equally large: what is equal mostly has to be.

    A size that does not fit makes a model that does not load, which shows nothing.
    """
    current = specimen
    for size in _sizes(specimen):
        current = _with_smaller(current, size, shows)
    return current


def _with_smaller(specimen: Specimen, size: int, shows: Shows) -> Specimen:
    for smaller in (*(s for s in _SIZES if s < size), *((size // 2,) if size > 2 * _SIZES[-1] else ())):
        for made in _resized(specimen, size, smaller):
            if shows(made):
                return made
    return specimen


def _sizes(specimen: Specimen) -> list[int]:
    shapes = [tuple(tensor.dims) for tensor in tensors(specimen.model)]
    shapes += [array.shape for array in specimen.feeds.values()]
    return sorted({size for shape in shapes for size in shape if size > 1}, reverse=True)


def _resized(specimen: Specimen, size: int, smaller: int) -> Iterator[Specimen]:
    """With `size` made smaller in all shapes; then also among numbers, and in multiples.

    Numbers in attributes and targets: what Reshape, groups of convolutions and heads of attention want.
    """
    for with_multiples in (False, True):

        def new(old: int, with_multiples: bool = with_multiples) -> int:
            if old == size:
                return smaller
            return old // size * smaller if with_multiples and old > size and old % size == 0 else old

        for with_numbers in (False, True):
            made = _with_sizes(specimen, new, numbers=with_numbers)
            if made is not None:
                yield made


def _with_sizes(specimen: Specimen, new: Callable[[int], int], *, numbers: bool) -> Specimen | None:
    model = specimen.copy()
    for tensor in tensors(model):
        if any(new(d) != d for d in tensor.dims):
            replace(tensor, _sliced(array_of(tensor), new))
        elif numbers and len(tensor.dims) <= 1 and tensor.data_type == onnx.TensorProto.INT64:
            replace(tensor, _renumbered(array_of(tensor), new))
    for value in (*model.graph.input, *model.graph.output, *model.graph.value_info):
        for dim in value.type.tensor_type.shape.dim:
            if dim.HasField("dim_value"):
                dim.dim_value = new(dim.dim_value)
    for node in model.graph.node if numbers else ():
        for attribute in node.attribute:
            if attribute.type == onnx.AttributeProto.INT:
                attribute.i = new(attribute.i)
            elif attribute.type == onnx.AttributeProto.INTS:
                attribute.ints[:] = [new(i) for i in attribute.ints]
    feeds = {name: _sliced(array, new) for name, array in specimen.feeds.items()}
    if numbers:
        feeds = {
            name: np.vectorize(new, otypes=[array.dtype])(array)
            if array.dtype == np.int64 and array.ndim <= 1
            else array
            for name, array in feeds.items()
        }
    made = Specimen(model, feeds)
    return made if made.elements < specimen.elements else None


def _renumbered(array: Array, new: Callable[[int], int]) -> Array:
    """Sizes in a vector of integers, as targets of Reshape hold them."""
    if array.dtype != np.int64 or array.ndim > 1:
        return array
    return np.array([new(int(number)) for number in array.reshape(-1)], np.int64).reshape(array.shape)


def _sliced(array: Array, new: Callable[[int], int]) -> Array:
    return array[tuple(slice(new(size)) for size in array.shape)]


def plainer_numbers(specimen: Specimen, shows: Shows) -> Specimen:
    """Make weights and inputs zero, one, or numbers of few digits, one tensor at a time."""
    current = specimen
    for number, tensor in enumerate(tensors(specimen.model)):
        for array in _plainer(array_of(tensor)):
            model = current.copy()
            replace(list(tensors(model))[number], array)
            made = Specimen(model, current.feeds)
            if shows(made):
                current = made
                break
    for name, feed in specimen.feeds.items():
        for array in _plainer(feed):
            made = Specimen(current.model, {**current.feeds, name: array})
            if shows(made):
                current = made
                break
    return current


def _plainer(array: Array) -> Iterator[Array]:
    if array.dtype.kind != "f" or not array.size:
        return
    candidates: list[Array] = [np.zeros_like(array), np.ones_like(array), -np.ones_like(array)]
    if np.isfinite(array).all():
        candidates += [cast(Any, np.round(array, digits)).astype(array.dtype) for digits in _DIGITS]
    for candidate in candidates:
        if np.array_equal(candidate, array):
            return  # as plain as this already
        yield candidate
