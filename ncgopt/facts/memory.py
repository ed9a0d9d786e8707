"""What was found out about a value, kept with it for as long as it can be relied on.

A rewrite never changes what a value holds, so a complete fact stays true for good; an incomplete
one is worth another look after something changed (`forget`). A dimension of which nothing is known
gets a name of its own: two values that have it in common have the same size.
"""

from __future__ import annotations

import itertools
from typing import cast

import onnx_ir as ir

from ncgopt.facts import symbols
from ncgopt.facts.inference.contents import may_have_contents
from ncgopt.facts.inference.view import Contents
from ncgopt.facts.marks import mark_of
from ncgopt.facts.types import UNKNOWN, Shape, ValueType
from ncgopt.records import record

_CACHE = "ncgopt.known"
_FRESH = "ncgopt.fresh"
_epochs = itertools.count()
_epoch = next(_epochs)
_numbers = itertools.count(1)


@record
class Known:
    """Type and, for small integer tensors, contents of a value.

    Attributes:
        final: whether there is nothing more to learn.
    """

    type: ValueType
    contents: Contents | None = None
    final: bool = False


def forget() -> None:
    """Make incomplete facts be looked at again: call it after the graph changed."""
    global _epoch
    _epoch = next(_epochs)


def forget_from(value: ir.Value) -> None:
    """Make incomplete facts that may follow from `value` be looked at again, after it took a place.

    Facts that are complete stay, and what follows from them cannot have changed.
    """
    pending = [value]
    while pending:
        for use in pending.pop().uses():
            for output in use.node.outputs:
                entry = _entry(output)
                if entry is not None and not entry[1].final and entry[0] == _epoch:
                    output.meta[_CACHE] = (-1, entry[1])
                    pending.append(output)


def cached(value: ir.Value) -> Known | None:
    """What was derived before and needs no second look."""
    entry = _entry(value)
    if entry is None:
        return None
    epoch, found = entry
    return found if found.final or epoch == _epoch else None


def remembered(value: ir.Value) -> Known | None:
    """What was derived before, whether it needs a second look or not."""
    entry = _entry(value)
    return None if entry is None else entry[1]


def store(value: ir.Value, found: ValueType, contents: Contents | None = None) -> None:
    """Note what is known of `value`, with a name for every dimension that has none."""
    named = ValueType(found.dtype, _named(value, found.shape))
    final = (
        named.complete
        and not any(symbols.is_vague(d) for d in named.shape or ())
        and (not may_have_contents(named) or (contents is not None and _settled(contents)))
    )
    value.meta[_CACHE] = (_epoch, Known(named, contents, final))


def _settled(contents: Contents) -> bool:
    """Whether every element is known, and not by the name of a size of which more may be learnt."""
    return not any(d is None or symbols.is_vague(d) for d in cast("list[symbols.Dim]", contents.reshape(-1).tolist()))


def drop(value: ir.Value) -> None:
    """Forget what is known of `value` altogether: it was derived from an assumption that does not hold."""
    if mark_of(value, _CACHE) is not None:
        del value.meta[_CACHE]


def _entry(value: ir.Value) -> tuple[int, Known] | None:
    return cast("tuple[int, Known] | None", mark_of(value, _CACHE))


def _named(value: ir.Value, dims: Shape | None) -> Shape | None:
    if dims is None or None not in dims:
        return dims
    names = cast("dict[int, str]", mark_of(value, _FRESH) or {})
    for axis, dim in enumerate(dims):
        if dim is None and axis not in names:
            names[axis] = symbols.fresh(str(next(_numbers)))
    value.meta[_FRESH] = names
    return tuple(names[axis] if dim is None else dim for axis, dim in enumerate(dims))


def store_tensor(value: ir.Value, tensor: ir.TensorProtocol | None) -> None:
    """Note what a constant is; its contents are read only when somebody asks."""
    store(value, UNKNOWN if tensor is None else ValueType(tensor.dtype, tuple(tensor.shape.numpy())))
