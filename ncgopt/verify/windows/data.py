"""Data for a window: the model's own, and what nobody's data happen to be.

Shapes, and everything that is not a float, are those that the original really has there on some run:
indices stay within their tables, masks stay masks, sizes keep fitting. Floats may be anything as far as
the nodes of the window tell, and so are filled with normal and with special values. What the nodes
further up say about them (a Softmax gives nothing negative) is not known here; where a window differs
on such data, the caller takes more nodes into it.
"""

from __future__ import annotations

import zlib
from collections.abc import Mapping
from typing import Literal, TypeAlias

import numpy as np

from ncgopt.runtime.session import Array, Value

Filling: TypeAlias = Literal["normal", "special"]
FILLINGS: tuple[Filling, ...] = ("normal", "special")

# Signs and zeros of both kinds, what rounds, what saturates a Sigmoid; finite, and nothing that overflows a square.
_SPECIAL = (0.0, -0.0, 1.0, -1.0, 0.5, -0.5, 1e-3, -3.0, 2.0, -8.0, 1e-30, 100.0, -0.125)
_FLOATS = {"float16", "float32", "float64", "bfloat16"}


def filled(values: Mapping[str, Value], filling: Filling, seed: int, aliases: Mapping[str, str]) -> dict[str, Value]:
    """The same values with other floats; equal ones (`aliases`, name to name) stay equal."""
    changed = {name: _filled(name, value, filling, seed) for name, value in values.items() if name not in aliases}
    return changed | {name: changed[double] for name, double in aliases.items()}


def is_float(value: Value) -> bool:
    """Whether a value holds floats."""
    return isinstance(value, np.ndarray) and value.dtype.name in _FLOATS


def _filled(name: str, value: Value, filling: Filling, seed: int) -> Value:
    if not isinstance(value, np.ndarray) or value.dtype.name not in _FLOATS:
        return value
    rng = np.random.default_rng([seed, zlib.crc32(name.encode())])
    content: Array
    if filling == "normal":
        content = rng.standard_normal(value.shape)
    else:
        # Every value with a cycle of its own, so that two of them meet in all combinations.
        cycle = rng.permutation(np.asarray(_SPECIAL))[: len(_SPECIAL) - zlib.crc32(name.encode()) % 3]
        content = np.resize(cycle, value.shape)
    return content.astype(value.dtype)
