"""Products of matrices, convolutions and pooling: each element of the result is one sum of products or one row."""

from __future__ import annotations

import itertools
import math

import numpy as np

from proofs.execute import CannotExecute, Executor, NoMeaning, Value, handles
from proofs.operators import elementwise
from proofs.terms import Tensor, Term


def dot(ex: Executor, elem: int, left: list[Term], right: list[Term]) -> Term:
    """The sum of products, as one term: in which order a kernel adds is its own affair."""
    return ex.arena.make("Dot", elem, tuple(itertools.chain(*zip(left, right, strict=True))))


@handles("MatMul")
def matmul(ex: Executor, node, attributes: dict, inputs: list) -> Value:
    a, b = (value.terms(ex.arena) for value in inputs)
    left = a[np.newaxis] if a.ndim == 1 else a
    right = b[:, np.newaxis] if b.ndim == 1 else b
    if left.shape[-1] != right.shape[-2]:
        raise CannotExecute(f"MatMul of {a.shape} and {b.shape}")
    try:
        batch = np.broadcast_shapes(left.shape[:-2], right.shape[:-2])
    except ValueError as error:
        raise CannotExecute(f"MatMul: {error}") from error
    left = np.broadcast_to(left, (*batch, *left.shape[-2:]))
    right = np.broadcast_to(right, (*batch, *right.shape[-2:]))
    made = np.empty((*batch, left.shape[-2], right.shape[-1]), object)
    for index in np.ndindex(*made.shape):
        *outer, i, j = index
        row, column = left[(*outer, i)], right[(*outer, slice(None), j)]
        made[index] = dot(ex, inputs[0].elem, list(row), list(column))
    drop = [axis for axis, operand in ((-2, a), (-1, b)) if operand.ndim == 1]
    return Tensor(inputs[0].elem, made.reshape([n for k, n in enumerate(made.shape) if k - made.ndim not in drop]))


@handles("Gemm")
def _gemm(ex: Executor, node, attributes: dict, inputs: list) -> Value:
    a, b, c = [*inputs, None][:3]
    if a.data.ndim != 2 or b.data.ndim != 2:
        raise CannotExecute("Gemm of other than matrices")
    a = ex.call("Transpose", a, perm=[1, 0]) if attributes.get("transA") else a
    b = ex.call("Transpose", b, perm=[1, 0]) if attributes.get("transB") else b
    y = scaled(ex, ex.call("MatMul", a, b), attributes.get("alpha", 1.0))
    beta = attributes.get("beta", 1.0)
    if c is None or beta == 0:
        return y
    if np.broadcast_shapes(c.data.shape, y.data.shape) != y.data.shape:
        raise CannotExecute("Gemm whose addend is larger")
    return ex.call("Add", y, scaled(ex, c, beta))


def scaled(ex: Executor, x: Tensor, factor: float) -> Tensor:
    """Times a number of an attribute; 1 is left out."""
    return x if factor == 1 else ex.call("Mul", x, ex.constant(factor, x.elem))


@handles("Einsum")
def _einsum(ex: Executor, node, attributes: dict, inputs: list) -> Value:
    equation = attributes["equation"].replace(" ", "")
    if "->" not in equation or "." in equation or len(inputs) != 2:
        raise NoMeaning("an Einsum with ellipsis, without arrow, or not of two operands")
    terms, result = equation.split("->")
    left, right = terms.split(",")
    arrays = [value.terms(ex.arena) for value in inputs]
    sizes = {k: n for names, a in zip((left, right), arrays, strict=True) for k, n in zip(names, a.shape, strict=True)}
    summed = [k for k in sizes if k not in result]
    made = np.empty([sizes[k] for k in result], object)
    for index in np.ndindex(*made.shape):
        at = dict(zip(result, index, strict=True))
        pairs: list[tuple[Term, Term]] = []
        for inner in np.ndindex(*(sizes[k] for k in summed)):
            at.update(zip(summed, inner, strict=True))
            pairs.append(tuple(a[tuple(at[k] for k in n)] for a, n in zip(arrays, (left, right), strict=True)))
        made[index] = dot(ex, inputs[0].elem, [p[0] for p in pairs], [p[1] for p in pairs])
    return Tensor(inputs[0].elem, made)


class Window:
    """Where the window of a convolution or pooling lies: per axis its kernel, stride, dilation and padding."""

    def __init__(self, shape: tuple[int, ...], kernel: list[int], attributes: dict) -> None:
        n = len(shape)
        self.kernel = kernel
        self.strides = attributes.get("strides") or [1] * n
        self.dilations = attributes.get("dilations") or [1] * n
        extents = [(k - 1) * d + 1 for k, d in zip(kernel, self.dilations, strict=True)]
        auto = attributes.get("auto_pad", "NOTSET")
        pads = attributes.get("pads") or [0] * 2 * n
        if auto in ("SAME_UPPER", "SAME_LOWER"):
            totals = [
                max((-(-size // s) - 1) * s + e - size, 0)
                for size, s, e in zip(shape, self.strides, extents, strict=True)
            ]
            less, more = [t // 2 for t in totals], [-(-t // 2) for t in totals]
            pads = [*less, *more] if auto == "SAME_UPPER" else [*more, *less]
        self.pads = list(zip(pads[:n], pads[n:], strict=True))
        ceil = bool(attributes.get("ceil_mode"))
        self.output = []
        for size, (low, high), e, s in zip(shape, self.pads, extents, self.strides, strict=True):
            room = size + low + high - e
            steps = -(-room // s) if ceil else room // s
            if ceil and steps * s >= size + low:  # the specification drops windows that begin in the padding behind
                steps -= 1
            self.output.append(steps + 1)
        self.ends = [size + high for size, (_, high) in zip(shape, self.pads, strict=True)]

    def positions(self, index: tuple[int, ...]) -> list[tuple[int, ...]]:
        """Indices into the input that the window at `index` covers, those outside of it included."""
        starts = [i * s - low for i, s, (low, _) in zip(index, self.strides, self.pads, strict=True)]
        offsets = itertools.product(*(range(k) for k in self.kernel))
        return [tuple(b + o * d for b, o, d in zip(starts, offset, self.dilations, strict=True)) for offset in offsets]


def _inside(position: tuple[int, ...], shape: tuple[int, ...]) -> bool:
    return all(0 <= p < n for p, n in zip(position, shape, strict=True))


@handles("Conv")
def _conv(ex: Executor, node, attributes: dict, inputs: list) -> Value:
    x, w, bias = [*inputs, None][:3]
    xs, ws = x.terms(ex.arena), w.terms(ex.arena)
    group, shape = attributes.get("group", 1), xs.shape[2:]
    if xs.shape[1] != ws.shape[1] * group or ws.ndim != xs.ndim:
        raise CannotExecute(f"Conv of {xs.shape} with {ws.shape}")
    window = Window(shape, list(ws.shape[2:]), attributes)
    zero, elem = ex.arena.constant(0, x.elem), x.elem
    made = np.empty((xs.shape[0], ws.shape[0], *window.output), object)
    width = ws.shape[1]
    for n, m, *index in np.ndindex(*made.shape):
        first = m // (ws.shape[0] // group) * width
        places = window.positions(tuple(index))
        row = [xs[(n, first + c, *p)] if _inside(p, shape) else zero for c in range(width) for p in places]
        made[(n, m, *index)] = dot(ex, elem, row, list(ws[m].reshape(-1)))
    y = Tensor(elem, made)
    return y if bias is None else ex.call("Add", y, per_channel(bias, made.ndim))


def per_channel(value: Tensor, rank: int) -> Tensor:
    """One number for each index along axis 1."""
    return Tensor(value.elem, value.data.reshape([-1] + [1] * (rank - 2)))


@handles("ConvTranspose")
def _conv_transpose(ex: Executor, node, attributes: dict, inputs: list) -> Value:
    x, w, bias = [*inputs, None][:3]
    xs, ws = x.terms(ex.arena), w.terms(ex.arena)
    group, spatial, n = attributes.get("group", 1), xs.shape[2:], xs.ndim - 2
    if attributes.get("auto_pad", "NOTSET") not in ("NOTSET", "VALID") or attributes.get("output_shape"):
        raise NoMeaning("ConvTranspose with the output's shape given")
    strides, dilations = attributes.get("strides") or [1] * n, attributes.get("dilations") or [1] * n
    pads, extra = attributes.get("pads") or [0] * 2 * n, attributes.get("output_padding") or [0] * n
    output = [
        s * (size - 1) + e + (k - 1) * d + 1 - a - b
        for s, size, e, k, d, a, b in zip(
            strides, spatial, extra, ws.shape[2:], dilations, pads[:n], pads[n:], strict=True
        )
    ]
    width, per_group = ws.shape[1], xs.shape[1] // group
    pairs: dict[tuple, list] = {}
    for b, m in itertools.product(range(xs.shape[0]), range(width * group)):
        for c in range(m // width * per_group, (m // width + 1) * per_group):
            for at, offset in itertools.product(np.ndindex(*spatial), np.ndindex(*ws.shape[2:])):
                to = tuple(
                    i * s + o * d - p for i, s, o, d, p in zip(at, strides, offset, dilations, pads, strict=False)
                )
                if _inside(to, tuple(output)):
                    pairs.setdefault((b, m, *to), []).append((xs[(b, c, *at)], ws[(c, m % width, *offset)]))
    made = np.empty((xs.shape[0], width * group, *output), object)
    for index in np.ndindex(*made.shape):
        found = pairs.get(index, [])
        made[index] = dot(ex, x.elem, [p[0] for p in found], [p[1] for p in found])
    y = Tensor(x.elem, made)
    return y if bias is None else ex.call("Add", y, per_channel(bias, made.ndim))


@handles("MaxPool", "AveragePool")
def _pool(ex: Executor, node, attributes: dict, inputs: list) -> Value:
    if len(node.output) > 1:
        raise NoMeaning("MaxPool with indices")
    x = inputs[0]
    xs = x.terms(ex.arena)
    shape = xs.shape[2:]
    window = Window(shape, list(attributes["kernel_shape"]), attributes)
    average = node.op_type == "AveragePool"
    counted = average and attributes.get("count_include_pad")
    made = np.empty((*xs.shape[:2], *window.output), object)
    for n, c, *index in np.ndindex(*made.shape):
        places = window.positions(tuple(index))
        row = [xs[(n, c, *p)] for p in places if _inside(p, shape)]
        if not row:
            raise CannotExecute("a window in nothing but padding")
        count = sum(all(q < e for q, e in zip(p, window.ends, strict=True)) for p in places) if counted else len(row)
        named = (("count", count),) if average else ()
        made[(n, c, *index)] = ex.arena.make(node.op_type, x.elem, tuple(row), named)
    return Tensor(x.elem, made)


@handles("BatchNormalization")
def _batch_normalization(ex: Executor, node, attributes: dict, inputs: list) -> Value:
    if attributes.get("training_mode") or attributes.get("spatial", 1) == 0 or len([o for o in node.output if o]) > 1:
        raise NoMeaning("BatchNormalization in training, or not spatial")
    x = inputs[0]
    parameters = [per_channel(p, x.data.ndim) for p in inputs[1:5]]
    named = {"epsilon": float(np.float32(attributes.get("epsilon", 1e-5)))}
    return elementwise(ex, "BatchNormalization", x.elem, [x, *parameters], named)


@handles("LRN")
def _lrn(ex: Executor, node, attributes: dict, inputs: list) -> Value:
    """The square sum over neighbouring channels, as its specification says."""
    x = inputs[0]
    xs, size = x.terms(ex.arena), attributes["size"]
    made = np.empty(xs.shape, object)
    named = (*tuple((k, attributes[k]) for k in ("alpha", "beta", "bias")), ("size", size))
    for index in np.ndindex(*xs.shape):
        n, c, *rest = index
        low, high = max(0, c - (size - 1) // 2), min(xs.shape[1] - 1, c + math.ceil((size - 1) / 2))
        row = [xs[(n, k, *rest)] for k in range(low, high + 1)]
        made[index] = ex.arena.make("LRN", x.elem, (xs[index], *row), named)
    return Tensor(x.elem, made)
