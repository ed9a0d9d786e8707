"""The user's data, batch by batch: from a `.npz`, a folder of such, or a function.

Everything is checked against the model before anything runs, and nothing but one batch is held. Both processes
use this: the parent to refuse bad data early, the child to run the model on it.
"""

from __future__ import annotations

import importlib
import itertools
import os
import sys
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeAlias, cast

import numpy as np
import numpy.typing as npt

from ncgopt.errors import InputUnreadable, NcgoptError, Usage
from ncgopt.verify.feeds import Draw, make_feeds, numpy_type
from ncgopt.verify.inputs import Input, Survey, TensorType
from ncgopt.verify.userfeeds import read_arrays

Array: TypeAlias = npt.NDArray[Any]
Feeds: TypeAlias = dict[str, Array]


@dataclass(frozen=True)
class Data:
    """Where samples come from.

    Attributes:
        source: `.npz` file, folder of `.npz` files, or `module:function` that gives dicts of arrays; None for
            random data.
        folder: working directory of the user, where modules are looked up as well.
        batch: samples that run together where the model leaves the number open.
        samples: no more than that.
        skip: samples to leave out first.
        labels: `.npy` file with one label per sample, or the name of an array in the data.
        binding: sizes of symbolic dimensions, for random data.
        seed: of random data.
        labelled: whether labels are wanted; without that, an array of that name is only allowed.
    """

    source: str | None
    folder: str
    batch: int = 8
    samples: int = 256
    labels: str | None = None
    binding: Mapping[str, int] | None = None
    seed: int = 0
    labelled: bool = True
    skip: int = 0


@dataclass(frozen=True)
class Batch:
    """Feeds of one run, how many samples they are, and their labels where there are any."""

    feeds: Feeds
    count: int
    labels: Array | None = None


def load_function(text: str, folder: str) -> Callable[..., Any]:
    """The function that `module:function` names, from the working directory or the installed packages.

    Raises:
        Usage: there is no such module or function; says which.
    """
    module, _, name = text.partition(":")
    if folder not in sys.path:
        sys.path.insert(0, folder)
    try:
        found = getattr(importlib.import_module(module), name, None)
    except Exception as error:  # importing runs the user's code
        raise Usage(f"{text}: cannot import {module}: {type(error).__name__}: {error}") from error
    if not callable(found):
        raise Usage(f"{text}: {module} has no function {name}")
    return cast("Callable[..., Any]", found)


def batches(data: Data, survey: Survey) -> Iterator[Batch]:
    """All samples that count, batch by batch.

    Raises:
        InputUnreadable: a file is missing or no `.npz`.
        Usage: there is nothing in it, or a name, dtype or shape does not fit the model; says which.
    """
    if data.source is None:
        yield from _random(data, survey)
        return
    labels = _label_file(data)
    done = 0
    for where, arrays in _pieces(data.source, data.folder):
        for batch in _split(where, arrays, data, survey):
            if done >= data.skip + data.samples:
                return
            own = batch.labels
            if labels is not None:
                if done + batch.count > len(labels):
                    raise Usage(f"{data.labels}: has {len(labels)} labels, fewer than there are samples")
                own = labels[done : done + batch.count]
            if done >= data.skip:
                yield Batch(batch.feeds, batch.count, own)
            done += batch.count
    if not done:
        raise Usage(f"{data.source}: holds no samples")


def check(data: Data, survey: Survey) -> int:
    """Go through all samples once, without running anything; their number. Raises as `batches` does."""
    return sum(batch.count for batch in batches(data, survey))


def _label_file(data: Data) -> Array | None:
    if data.labels is None or not data.labelled or not data.labels.endswith(".npy"):
        return None
    try:
        found: Array = np.load(Path(data.folder) / data.labels, allow_pickle=False)
    except OSError as error:
        raise InputUnreadable(f"cannot read {data.labels}: {error.strerror or error}") from None
    except ValueError as error:
        raise InputUnreadable(f"{data.labels} is not a .npy file of numbers: {error}") from None
    if found.ndim != 1:
        raise Usage(f"{data.labels}: labels must be one number per sample, not shape {list(found.shape)}")
    return found


def _pieces(source: str, folder: str) -> Iterator[tuple[str, Mapping[str, Array]]]:
    path = Path(folder) / source
    if path.is_dir():
        files = sorted(path.glob("*.npz"))
        if not files:
            raise Usage(f"{source}: the folder holds no .npz file")
        for file in files:
            yield str(file), read_arrays(file)
    elif ":" in source and not path.exists():
        yield from _from_function(source, folder)
    else:
        yield source, read_arrays(path)


def _from_function(source: str, folder: str) -> Iterator[tuple[str, Mapping[str, Array]]]:
    try:
        for item in cast("Iterable[object]", load_function(source, folder)()):
            if not isinstance(item, Mapping):
                raise Usage(f"{source} must give dicts of arrays, not {type(item).__name__}")
            arrays = cast("Mapping[str, object]", item)
            yield source, {str(name): np.asarray(array) for name, array in arrays.items()}
    except NcgoptError:
        raise
    except Exception as error:  # the user's code may raise anything
        raise Usage(f"{source} failed: {type(error).__name__}: {error}") from error


def _split(where: str, arrays: Mapping[str, Array], data: Data, survey: Survey) -> Iterator[Batch]:
    label_name = data.labels if data.labels is not None and not data.labels.endswith(".npy") else None
    labels = arrays.get(label_name) if label_name is not None and data.labelled else None
    if label_name is not None and data.labelled and labels is None:
        raise Usage(f"{where}: holds no array {label_name} for the labels; it holds {', '.join(arrays) or 'nothing'}")
    wanted = {given.name: given for given in survey.inputs}
    unknown = [name for name in arrays if name not in wanted and name != label_name]
    missing = [name for name in wanted if name not in arrays]
    if missing:
        raise Usage(f"{where}: no array for input {missing[0]}; it holds {', '.join(arrays) or 'nothing'}")
    if unknown:
        raise Usage(f"{where}: the model has no input {unknown[0]}; it has {', '.join(wanted)}")
    fitted = {name: _fitting(where, wanted[name], arrays[name]) for name in wanted}
    sliced = {name: _rows(wanted[name]) for name in wanted}
    counts = {fitted[name].shape[0] for name, rows in sliced.items() if rows is not None}
    if len(counts) > 1:
        raise Usage(f"{where}: inputs differ in their number of samples: {', '.join(map(str, sorted(counts)))}")
    count = counts.pop() if counts else 1
    if count == 0:
        raise Usage(f"{where}: holds no samples")
    if labels is not None and labels.shape[:1] != (count,):
        raise Usage(f"{where}: {len(labels) if labels.ndim else 1} labels for {count} samples")
    fixed = {rows for rows in sliced.values() if rows}
    size = fixed.pop() if fixed else data.batch
    for start in range(0, count, size):
        stop = min(start + size, count)
        feeds = {n: a if sliced[n] is None else a[start:stop] for n, a in fitted.items()}
        yield Batch(feeds, stop - start, labels[start:stop] if labels is not None else None)


def _rows(given: Input) -> int | None:
    """Samples per run: 0 where the model leaves that open, None for an input without a batch axis."""
    kind = given.type
    dims = kind.dims if isinstance(kind, TensorType) else None
    if not dims:
        return None
    return dims[0] if isinstance(dims[0], int) else 0


def _fitting(where: str, given: Input, array: Array) -> Array:
    kind = given.type
    if not isinstance(kind, TensorType):
        raise Usage(f"{where}: input {given.name} is no tensor; calibration data cannot feed it")
    if kind.dtype == "string":
        return array.astype(str).astype(object)
    dtype = numpy_type(kind.dtype)
    if array.dtype != dtype:
        raise Usage(f"{where}: {given.name} is {array.dtype}, the model takes {dtype}")
    if dtype.kind == "f" and not np.isfinite(array).all():
        raise Usage(f"{where}: {given.name} holds NaN or infinity")
    if kind.dims is None:
        return array
    fits = len(kind.dims) == array.ndim
    for axis, (dim, size) in enumerate(zip(kind.dims, array.shape, strict=False)):
        if isinstance(dim, int):
            fits = fits and (size % dim == 0 if axis == 0 and dim > 0 else size == dim)
    if not fits:
        raise Usage(f"{where}: {given.name} has shape {list(array.shape)}, the model takes {list(kind.dims)}")
    return array


def _random(data: Data, survey: Survey) -> Iterator[Batch]:
    """Standard normal floats, and integers by what they mean to the model."""
    binding = dict(data.binding or {})
    for number in itertools.count():
        if number * data.batch >= data.samples:
            return
        made = make_feeds(survey.inputs, binding, Draw(number=number, seed=data.seed + data.skip + number))
        feeds = {name: value for name, value in made.items() if isinstance(value, np.ndarray)}
        yield Batch(feeds, data.batch)


def working_folder() -> str:
    """Where the user's relative paths and modules are looked up."""
    return os.getcwd()
