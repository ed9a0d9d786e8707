"""What goes into a program: names, element types, and dimensions by number or symbol."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import ml_dtypes
import numpy as np
import numpy.typing as npt

from ncgopt.errors import InputUnreadable, Usage
from ncgopt.records import record

_SHORT = {
    "f16": "float16", "bf16": "bfloat16", "f32": "float32", "f64": "float64", "i8": "int8", "i16": "int16",
    "i32": "int32", "i64": "int64", "u8": "uint8", "u16": "uint16", "u32": "uint32", "u64": "uint64", "bool": "bool",
}  # fmt: skip
_FORM = re.compile(r"(?P<name>[^:\[\]=]+):(?P<dtype>\w+)\[(?P<dims>[^\]]*)\](?:=(?P<low>-?\d+)\.\.(?P<high>-?\d+))?")


@record
class InputSpec:
    """One input of a program.

    Attributes:
        name: what the static graph calls it; where the program names its parameters, one of those.
        dtype: numpy's or ml_dtypes' name of the element type.
        dims: sizes, or the names of sizes that stay open; the same name means the same size.
        low, high: least and greatest value of integers; floats are drawn from a normal distribution.
    """

    name: str
    dtype: str
    dims: tuple[int | str, ...]
    low: int = 0
    high: int = 1

    @property
    def symbols(self) -> tuple[str, ...]:
        """Names of open sizes, each once."""
        return tuple(dict.fromkeys(dim for dim in self.dims if isinstance(dim, str)))

    def shape(self, sizes: Mapping[str, int]) -> tuple[int, ...]:
        """The shape at given sizes of the symbols."""
        return tuple(sizes[dim] if isinstance(dim, str) else dim for dim in self.dims)

    def draw(self, sizes: Mapping[str, int], random: np.random.Generator) -> npt.NDArray[Any]:
        """Random data of that shape."""
        shape, dtype = self.shape(sizes), dtype_of(self.dtype)
        if dtype.kind == "b":
            return random.integers(0, 2, shape).astype(dtype)
        if dtype.kind in "iu":
            return random.integers(self.low, self.high, shape, endpoint=True).astype(dtype)
        return random.standard_normal(shape).astype(np.float32).astype(dtype)


def dtype_of(name: str) -> np.dtype[Any]:
    """Numpy's element type of a name that `parse` gives."""
    return np.dtype(ml_dtypes.bfloat16) if name == "bfloat16" else np.dtype(name)


def parse(text: str) -> InputSpec:
    """Read `x:f32[batch,3,224,224]`, or with the range of integers `ids:i64[batch,seq]=0..99`.

    Raises:
        Usage: it has another form.
    """
    found = _FORM.fullmatch(text.replace(" ", ""))
    if found is None:
        raise Usage(f"--input {text!r} has not the form NAME:DTYPE[DIM,DIM,...], as in x:f32[batch,3,224,224]")
    name, short = found["name"], found["dtype"]
    dtype = _SHORT.get(short, short)
    if dtype not in _SHORT.values():
        raise Usage(f"--input {name}: no element type {short}; there are {', '.join(_SHORT)}")
    dims = tuple(_dim(name, part) for part in found["dims"].split(",") if part)
    if found["low"] is None:
        return InputSpec(name, dtype, dims)
    low, high = int(found["low"]), int(found["high"])
    if low > high:
        raise Usage(f"--input {name}: the range {low}..{high} is empty")
    if dtype[0] not in "iu":
        raise Usage(f"--input {name}: a range is for integers, and this is {dtype}")
    return InputSpec(name, dtype, dims, low, high)


def _dim(name: str, text: str) -> int | str:
    if text.isidentifier():
        return text
    if text.isdigit() and int(text) > 0:
        return int(text)
    raise Usage(f"--input {name}: {text!r} is neither a size above 0 nor a name")


def read_example(path: Path) -> dict[str, npt.NDArray[Any]]:
    """The arrays of a `.npz`, by name.

    Raises:
        InputUnreadable: it is missing, damaged, or holds Python objects.
    """
    try:
        with np.load(path, allow_pickle=False) as file:
            return {name: np.asarray(file[name]) for name in file.files}
    except (OSError, ValueError, AttributeError, TypeError) as error:
        raise InputUnreadable(f"{path}: no .npz file with one array per input ({error})") from None


def with_example(specs: Sequence[InputSpec], example: Mapping[str, npt.NDArray[Any]]) -> tuple[InputSpec, ...]:
    """Specs, and those of example arrays that none describes: all of their sizes are fixed.

    Raises:
        Usage: an array does not fit what was said of its input.
    """
    named = {spec.name: spec for spec in specs}
    found = list(specs)
    for name, array in example.items():
        spec = named.get(name)
        if spec is None:
            found.append(InputSpec(name, array.dtype.name, array.shape, *_range(array)))
        elif spec.dtype != array.dtype.name or not _fits(spec, array.shape):
            raise Usage(f"--example: {name} is {array.dtype.name}{list(array.shape)}, and --input says {spec.dtype}"
                        f"[{','.join(map(str, spec.dims))}]")  # fmt: skip
    return tuple(found)


def sizes_of(specs: Sequence[InputSpec], example: Mapping[str, npt.NDArray[Any]]) -> dict[str, int]:
    """The size of each symbol in an example.

    Raises:
        Usage: an array is missing, or a symbol has two sizes.
    """
    sizes: dict[str, int] = {}
    for spec in specs:
        if spec.name not in example:
            raise Usage(f"--example: there is no array called {spec.name}")
        for dim, size in zip(spec.dims, example[spec.name].shape, strict=True):
            if isinstance(dim, str) and sizes.setdefault(dim, size) != size:
                raise Usage(f"--example: {dim} is {sizes[dim]} in one place and {size} in {spec.name}")
    return sizes


def _fits(spec: InputSpec, shape: tuple[int, ...]) -> bool:
    return len(shape) == len(spec.dims) and all(
        isinstance(dim, str) or dim == size for dim, size in zip(spec.dims, shape, strict=True)
    )


def _range(array: npt.NDArray[Any]) -> tuple[int, int]:
    return (int(array.min()), int(array.max())) if array.dtype.kind in "iu" and array.size else (0, 1)
