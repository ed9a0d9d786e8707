"""The user's own inputs, from `.npz` files."""

from __future__ import annotations

import zipfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any, cast

import numpy as np

from ncgopt.errors import InputUnreadable, Usage
from ncgopt.runtime.session import Array, Value
from ncgopt.verify.feeds import numpy_type
from ncgopt.verify.inputs import Dim, Input, Survey, TensorType, terms


def load_feeds(path: Path, survey: Survey) -> tuple[dict[str, Value], dict[str, int]]:
    """Feeds in a `.npz` file (one array per input name), and the sizes they give to the symbols.

    bfloat16 and float8 arrays, which numpy saves as raw bytes, are read as the input's type.

    Raises:
        InputUnreadable: the file is missing or no `.npz`.
        Usage: a name, dtype or shape does not fit the model; the message says which.
    """
    wanted = {given.name: given for given in (*survey.inputs, *survey.overridable)}
    arrays = read_arrays(path)
    unknown = [name for name in arrays if name not in wanted]
    if unknown:
        raise Usage(f"{path}: the model has no input {unknown[0]}; it has {', '.join(wanted)}")
    missing = [given.name for given in survey.inputs if given.name not in arrays]
    if missing:
        raise Usage(f"{path}: no array for input {missing[0]}; it holds {', '.join(arrays) or 'nothing'}")
    binding: dict[str, int] = {}
    feeds: dict[str, Value] = {name: _fitting(path, wanted[name], array, binding) for name, array in arrays.items()}
    return feeds, binding


def save_feeds(path: Path, arrays: Mapping[str, Array]) -> None:
    """Write arrays as a `.npz` that `load_feeds` reads; `numpy.savez` does not take an input called `file`."""
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, array in arrays.items():
            with archive.open(f"{name}.npy", "w", force_zip64=True) as member:
                plain = array.astype(str) if array.dtype == object else array
                np.lib.format.write_array(member, np.ascontiguousarray(plain).reshape(plain.shape), allow_pickle=False)


def read_arrays(path: Path) -> dict[str, Array]:
    """The arrays in a `.npz`.

    Raises:
        InputUnreadable: the file is missing or no `.npz`.
    """
    try:
        with np.load(path, allow_pickle=False) as archive:
            if not isinstance(archive, np.lib.npyio.NpzFile):
                raise InputUnreadable(f"{path} is not a .npz file")
            return {name: cast(Array, archive[name]) for name in archive.files}
    except OSError as error:
        raise InputUnreadable(f"cannot read {path}: {error.strerror or error}") from None
    except (ValueError, zipfile.BadZipFile, EOFError) as error:
        raise InputUnreadable(f"{path} is not a .npz file of plain arrays: {error}") from None


def _fitting(path: Path, given: Input, array: Array, binding: dict[str, int]) -> Array:
    kind = given.type
    if not isinstance(kind, TensorType):
        raise Usage(f"{path}: input {given.name} is no tensor and cannot come from a .npz file")
    if kind.dtype == "string":
        if array.dtype.kind not in "US":
            raise Usage(f"{path}: {given.name} is {array.dtype}, the model takes strings")
        array = array.astype(str).astype(object)
    else:
        dtype = numpy_type(kind.dtype)
        if array.dtype.kind == "V" and array.dtype.itemsize == dtype.itemsize:
            array = cast(Any, array).view(dtype)
        if array.dtype != dtype:
            raise Usage(f"{path}: {given.name} is {array.dtype}, the model takes {dtype}")
    if kind.dims is not None:
        _bind(path, given.name, kind.dims, array.shape, binding)
    return array


def _bind(path: Path, name: str, dims: tuple[Dim, ...], shape: tuple[int, ...], binding: dict[str, int]) -> None:
    fits = len(dims) == len(shape)
    for dim, size in zip(dims, shape, strict=False):
        if isinstance(dim, int):
            fits = fits and dim == size
        elif terms(dim) == frozenset({dim}):
            binding.setdefault(dim, size)
    if not fits:
        raise Usage(f"{path}: {name} has shape {list(shape)}, the model takes {list(dims)}")
