"""Shapes of operators that move elements about without computing: their targets may hold symbols."""

from __future__ import annotations

from ncgopt.facts import caps, symbols
from ncgopt.facts.inference.view import NodeView
from ncgopt.facts.symbols import Dim
from ncgopt.facts.types import Shape

_NEGATIVE_AXES_SINCE = 11  # in Squeeze and Unsqueeze


def reshape(view: NodeView) -> Shape | None:
    """Reshape: 0 copies, -1 takes what is left.

    A symbol in the target is taken at its word. Where it is 0, ONNX copies a dimension of the input
    instead: the shape stated of an *empty* result may then be that of another empty tensor. Nobody
    sees other numbers for it, and without it the heads of no attention would be known.
    """
    target, dims = view.dims(1, "shape"), view.shape()
    if target is None:
        length = view.length(1)
        return (None,) * length if length is not None else None
    copies = view.version < 5 or not view.int("allowzero")
    found: list[Dim] = []
    for index, entry in enumerate(target):
        if entry == 0 and copies:
            found.append(dims[index] if dims is not None and index < len(dims) else None)
        else:
            found.append(entry)
    if -1 not in found:
        return tuple(_size(entry) for entry in found)
    if found.count(-1) > 1:
        return None
    place = found.index(-1)
    others = symbols.product(tuple(entry for k, entry in enumerate(found) if k != place))
    total = symbols.product(dims) if dims is not None else None
    found[place] = _left(total, others)
    return tuple(_size(entry) if k != place else entry for k, entry in enumerate(found))


def _left(total: Dim, others: Dim) -> Dim:
    exact = symbols.exact_div(total, others)
    return exact if exact is not None else symbols.floor_div(total, others, certain=True)


def _size(entry: Dim) -> Dim:
    return entry if not isinstance(entry, int) or entry >= 0 else None


def flatten(view: NodeView) -> Shape | None:
    """Flatten: two dimensions, the products on both sides of the axis."""
    dims, axis = view.shape(), view.int("axis")
    if dims is None or axis is None or not -len(dims) <= axis <= len(dims):
        return (None, None)
    axis = axis + len(dims) if axis < 0 else axis
    return symbols.product(dims[:axis]), symbols.product(dims[axis:])


def expand(view: NodeView) -> Shape | None:
    """Expand: broadcasting with a target that is given as data."""
    dims, target = view.shape(), view.dims(1)
    if dims is None or target is None:
        length = view.length(1)
        if dims is not None and length is not None:
            return (None,) * max(len(dims), length)
        return None
    return broadcast(dims, target)


def broadcast(*shapes: Shape) -> Shape | None:
    """Multidirectional broadcasting; None where two numbers contradict each other."""
    rank = max((len(dims) for dims in shapes), default=0)
    found: list[Dim] = [1] * rank
    limits: list[tuple[Dim, Dim]] = []
    for dims in shapes:
        for k, dim in enumerate(dims, start=rank - len(dims)):
            before = found[k]
            if isinstance(before, int) and isinstance(dim, int) and before != dim and 1 not in (before, dim):
                return None
            found[k] = symbols.broadcast(before, dim)
            limits += [(b, c) for a, b in ((before, dim), (dim, before)) if (c := caps.cap_of(a, b)) is not None]
    # A table that is cut to a length and then meets that length was long enough: see it in all dimensions.
    for size, cap in limits:
        found = [caps.under_cap(dim, size, cap) for dim in found]
    return tuple(found)


def concat(view: NodeView) -> Shape | None:
    """Concat: the sum along the axis; elsewhere whichever input knows best."""
    shapes = [view.shape(k) for k in range(len(view.node.inputs))]
    known = [dims for dims in shapes if dims is not None]
    if not known or len({len(dims) for dims in known}) != 1:
        return None
    rank = len(known[0])
    axis = view.axis("axis", rank)
    if axis is None:
        return None
    found: list[Dim] = [_best([dims[k] for dims in known]) for k in range(rank)]
    along: Dim = 0
    for dims in shapes:
        along = symbols.add(along, dims[axis] if dims is not None else None)
    found[axis] = along
    return tuple(found)


def _best(dims: list[Dim]) -> Dim:
    """One of several equal dimensions: a number before a symbol, a symbol with a name before one without."""
    numbers = [d for d in dims if isinstance(d, int)]
    named = [d for d in dims if d is not None and not symbols.is_vague(d)]
    return (numbers or named or [d for d in dims if d is not None] or [None])[0]


def constant_of_shape(view: NodeView) -> Shape | None:
    """ConstantOfShape."""
    target = view.dims(0)
    if target is None:
        length = view.length(0)
        return (None,) * length if length is not None else None
    return tuple(_size(entry) for entry in target)


def tile(view: NodeView) -> Shape | None:
    """Tile: every dimension times its number of repetitions."""
    dims, repeats = view.shape(), view.dims(1)
    if dims is None:
        return None
    if repeats is None or len(repeats) != len(dims):
        return (None,) * len(dims)
    return tuple(symbols.mul(d, r) for d, r in zip(dims, repeats, strict=True))


def range_(view: NodeView) -> Shape | None:
    """Range over integers: the number of steps."""
    ends = [view.contents(k) for k in range(3)]
    start, limit, step = (e.reshape(-1)[0] if e is not None and e.size == 1 else None for e in ends)
    if not isinstance(step, int) or step == 0:
        return (None,)
    length = symbols.sub(limit, start) if step > 0 else symbols.sub(start, limit)
    count = symbols.ceil_div(symbols.maximum(length, 0), abs(step))
    return (count,)


def split(view: NodeView) -> list[Shape] | None:
    """Split: the given sizes, or equal parts."""
    dims = view.shape()
    axis = view.axis("axis", len(dims)) if dims is not None else None
    if dims is None or axis is None:
        return None
    count = len(view.node.outputs)
    sizes = view.dims(1, "split")
    if sizes is None and not view.given(1):
        part = symbols.ceil_div(dims[axis], count)
        last = symbols.sub(dims[axis], symbols.mul(part, count - 1))
        sizes = (part,) * (count - 1) + (last,)
    if sizes is None or len(sizes) != count:
        sizes = (None,) * count
    return [(*dims[:axis], _size(size), *dims[axis + 1 :]) for size in sizes]


def counts_from_the_end(view: NodeView) -> bool:
    """Whether a Squeeze or Unsqueeze has negative axes that its operator set does not know.

    ONNX Runtime counts them from the end, and ONNX's inference overlooks them.
    """
    if view.node.op_type not in ("Squeeze", "Unsqueeze") or view.version >= _NEGATIVE_AXES_SINCE:
        return False
    return any(axis < 0 for axis in view.ints("axes") or ())


def from_the_end(view: NodeView) -> Shape | None:
    """The shape where `counts_from_the_end`."""
    dims, axes = view.shape(), view.ints("axes") or ()
    if dims is None:
        return None
    grows = view.node.op_type == "Unsqueeze"
    rank = len(dims) + len(axes) if grows else len(dims)
    places = {axis % rank for axis in axes}
    if len(places) != len(axes) or not all(-rank <= axis < rank for axis in axes):
        return None
    if not grows:
        return tuple(dim for place, dim in enumerate(dims) if place not in places)
    rest = iter(dims)
    return tuple(1 if place in places else next(rest) for place in range(rank))


def unsqueeze(view: NodeView) -> Shape | None:
    """Unsqueeze where the axes are known only by their number."""
    dims, count = view.shape(), view.length(1)
    if dims is None or count is None or view.numbers(1) is not None:
        return None
    return (None,) * (len(dims) + count)


def squeeze(view: NodeView) -> Shape | None:
    """Squeeze without axes under symbols: only numbers tell which dimensions go."""
    dims = view.shape()
    if dims is None or view.given(1) or view.ints("axes") is not None:
        return None
    if any(d == 1 or d is None or not (isinstance(d, int) or symbols.is_at_least(d, 2)) for d in dims):
        return tuple(d for d in dims if d != 1) if all(isinstance(d, int) for d in dims) else None
    return dims
