"""Sizes in bytes as people write them: `800MB`, `4GB`, `1.5GiB`, or a plain number."""

from __future__ import annotations

import re
from typing import NewType

ByteSize = NewType("ByteSize", int)
"""A number of bytes; settings files may write it as text with a unit."""

_UNITS = {"": 1, "k": 10**3, "m": 10**6, "g": 10**9, "t": 10**12, "ki": 2**10, "mi": 2**20, "gi": 2**30, "ti": 2**40}
_FORM = re.compile(r"\s*(\d+(?:\.\d+)?)\s*([kmgt]i?|)b?\s*", re.IGNORECASE)


def parse_size(text: str) -> ByteSize:
    """The number of bytes that `text` says; units are decimal (`GB`) or binary (`GiB`).

    Raises:
        ValueError: no number, an unknown unit, or zero.
    """
    match = _FORM.fullmatch(text)
    size = int(float(match[1]) * _UNITS[match[2].lower()]) if match else 0
    if size <= 0:
        raise ValueError(f"{text!r} is no size such as 800MB, 4GB or 1.5GiB")
    return ByteSize(size)


def size_text(size: int) -> str:
    """A size for a message, with at most three digits: `1.5 GB`."""
    number, units = float(size), ("B", "kB", "MB", "GB", "TB")
    index = 0
    while number >= 999.5 and index < len(units) - 1:
        number, index = number / 1000, index + 1
    return f"{number:.3g} {units[index]}"
