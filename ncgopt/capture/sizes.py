"""Sizes of open dimensions: those to trace a program with, and those to compare it at."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

from ncgopt.errors import Usage

_TRACED = (3, 5, 7, 11, 13, 17, 19, 23)  # distinct, so that no two are taken for the same; not 1, which broadcasts
_LADDER = (1, 2, 4, 6, 9, 3, 8, 12, 5, 16, 7, 10)
_STRIDES = (1, 5, 7, 11)  # through the ladder, each symbol with its own: prime to its length


def traced(symbols: Sequence[str], ranges: Mapping[str, tuple[int, int | None]]) -> dict[str, int]:
    """A size for each symbol, within its range, distinct where ranges allow that.

    Raises:
        Usage: a range leaves only one size, so that the dimension is not open.
    """
    found: dict[str, int] = {}
    for symbol in symbols:
        low, high = ranges.get(symbol, (1, None))
        if high is not None and high <= low:
            raise Usage(f"--range {symbol}={low}..{high} leaves one size; write it as a number in --input")
        offset = max(low - 3, 0)
        fitting = [size + offset for size in _TRACED if high is None or size + offset <= high]
        fitting += [] if high is None else list(range(high, max(low - 1, 1), -1))[:20]
        fitting = fitting or [high or low]
        found[symbol] = next((size for size in fitting if size not in found.values()), fitting[0])
    return found


def compared(
    symbols: Sequence[str], ranges: Mapping[str, tuple[int, int | None]], count: int
) -> Iterator[dict[str, int]]:
    """Up to `count` different bindings: all least, then sizes that no trace was made with, of which some are 1."""
    seen: list[dict[str, int]] = []
    for turn in range(40 * count):
        sizes: dict[str, int] = {}
        for place, symbol in enumerate(symbols):
            low, high = ranges.get(symbol, (1, None))
            size = _LADDER[(turn * _STRIDES[place % 4] + (place if turn else 0)) % len(_LADDER)] + low - 1
            sizes[symbol] = size if high is None else low + (size - low) % (high - low + 1)
        if sizes not in seen:
            seen.append(sizes)
            yield sizes
        if len(seen) == count:
            return


def parse_range(text: str) -> tuple[str, int, int | None]:
    """Read `seq=1..512`, or `seq=2..` without an upper end.

    Raises:
        Usage: it has another form.
    """
    symbol, equals, rest = text.partition("=")
    low, dots, high = rest.partition("..")
    if not (equals and dots and symbol.isidentifier() and low.isdigit() and (not high or high.isdigit())):
        raise Usage(f"--range {text!r} has not the form NAME=LOW..HIGH, as in seq=1..512")
    if int(low) < 1 or (high and int(high) < int(low)):
        raise Usage(f"--range {text!r}: sizes begin at 1, and end no lower than they begin")
    return symbol, int(low), int(high) if high else None
