"""Shapes of operators over images and sequences under symbolic sizes (ONNX, Conv, Pool, Resize)."""

from __future__ import annotations

from fractions import Fraction

from ncgopt.facts import symbols
from ncgopt.facts.inference.view import NodeView
from ncgopt.facts.symbols import Dim
from ncgopt.facts.types import Shape


def conv(view: NodeView) -> Shape | None:
    """Conv: the batch of the image, the channels of the weight."""
    dims, weight = view.shape(0), view.shape(1)
    if dims is None:
        return None if weight is None else (None,) * len(weight)
    kernel = view.ints("kernel_shape") or (weight[2:] if weight is not None else None)
    return _windows(view, dims, weight[0] if weight is not None else None, kernel)


def pool(view: NodeView) -> Shape | None:
    """MaxPool, AveragePool, LpPool."""
    dims = view.shape()
    return None if dims is None or len(dims) < 2 else _windows(view, dims, dims[1], view.ints("kernel_shape"))


def global_pool(view: NodeView) -> Shape | None:
    """GlobalAveragePool and its kin: every spatial size becomes 1."""
    dims = view.shape()
    return None if dims is None else (*dims[:2], *(1 for _ in dims[2:]))


def _windows(view: NodeView, dims: Shape, channels: Dim, kernel: Shape | None) -> Shape:
    spatial = len(dims) - 2
    strides = view.ints("strides") or (1,) * spatial
    dilations = view.ints("dilations") or (1,) * spatial
    pads = view.ints("pads") or (0,) * (2 * spatial)
    mode = view.string("auto_pad") or "NOTSET"
    ceil = bool(view.int("ceil_mode"))
    if kernel is None or {len(strides), len(dilations), len(kernel), len(pads) // 2} != {spatial}:
        return (dims[0], channels, *(None for _ in range(spatial)))
    sizes: list[Dim] = []
    for k in range(spatial):
        size, stride = dims[2 + k], strides[k]
        if mode in ("SAME_UPPER", "SAME_LOWER"):
            sizes.append(symbols.ceil_div(size, stride))
            continue
        reach = symbols.add(symbols.mul(symbols.sub(kernel[k], 1), dilations[k]), 1)
        padded = size if mode == "VALID" else symbols.add(size, pads[k] + pads[k + spatial])
        sizes.append(_steps(symbols.sub(padded, reach), stride, ceil=ceil))
    return (dims[0], channels, *sizes)


def _steps(room: Dim, stride: int, *, ceil: bool) -> Dim:
    """How often a window of stride `stride` fits; it does at least once, or the run fails."""
    if stride == 1:
        return symbols.add(room, 1)
    if ceil and not isinstance(room, int):
        return None  # a last window that would start in the padding does not count: numbers only
    return None if ceil else symbols.add(symbols.floor_div(room, stride, certain=True), 1)


def resize(view: NodeView) -> Shape | None:
    """Resize and Upsample: the given sizes, or the given factors, rounded down."""
    dims = view.shape()
    if dims is None:
        return None
    if view.string("keep_aspect_ratio_policy") not in (None, "stretch"):
        return (None,) * len(dims)
    axes = view.ints("axes") or tuple(range(len(dims)))
    if not all(-len(dims) <= axis < len(dims) for axis in axes):
        return None
    found = list(dims)
    sizes = view.dims(3) if view.version >= 11 and view.given(3) else None
    scales = None if sizes is not None else _scales(view)
    for k, axis in enumerate(axes):
        if sizes is not None and len(sizes) == len(axes):
            found[axis] = sizes[k]
        else:
            found[axis] = _scaled(dims[axis], scales[k]) if scales is not None and len(scales) == len(axes) else None
    return tuple(found)


def _scales(view: NodeView) -> list[float] | None:
    index = 2 if view.version >= 11 else 1
    array = view.array(index)
    return [float(n) for n in array.reshape(-1)] if array is not None and array.size else None


def _scaled(dim: Dim, scale: float) -> Dim:
    """`floor(dim * scale)` where float32 arithmetic cannot disagree: small multiples and halves."""
    fraction = Fraction(scale)
    if isinstance(dim, int) or fraction.denominator not in (1, 2, 4, 8):
        return None  # ONNX's own inference does numbers
    return symbols.floor_div(symbols.mul(dim, fraction.numerator), fraction.denominator)


def depth_to_space(view: NodeView) -> Shape | None:
    """DepthToSpace."""
    dims, block = view.shape(), view.int("blocksize")
    if dims is None or block is None or len(dims) != 4:
        return None
    n, c, h, w = dims
    return n, symbols.exact_div(c, block * block), symbols.mul(h, block), symbols.mul(w, block)


def space_to_depth(view: NodeView) -> Shape | None:
    """SpaceToDepth."""
    dims, block = view.shape(), view.int("blocksize")
    if dims is None or block is None or len(dims) != 4:
        return None
    n, c, h, w = dims
    height, width = (symbols.floor_div(d, block) for d in (h, w))  # it divides, or the run fails
    return n, symbols.mul(c, block * block), height, width
