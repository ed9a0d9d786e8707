"""FLOPs of products: matrix products, convolutions, Einsum, recurrent layers and their fused forms.

Sources: the operator specifications of ONNX, and of ONNX Runtime's docs/ContribOperators.md for the
domain `com.microsoft`.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

from ncgopt.cost.flops import conv_flops, matmul_flops, recurrent_flops
from ncgopt.cost.sized import Shape, Sized, UnknownShapeError, volume


def _product(output: Shape, left: Shape, transposed: bool = False) -> int:
    """FLOPs of a product whose left operand is `left`, numpy's rules for vectors included."""
    if len(left) == 1:
        return matmul_flops(output, left[0], 1)
    k = left[-2] if transposed else left[-1]
    return matmul_flops(output, k, 1)


def _matmul(sized: Sized) -> int:
    return _product(sized.output(), sized.input(0))


def _fused_matmul(sized: Sized) -> int:
    transposed = bool(sized.integer("transA", 0))
    if sized.integer("transBatchA", 0):
        raise UnknownShapeError  # moves batch dimensions behind the summed one; nobody emits it for CPU
    return _product(sized.output(), sized.input(0), transposed)


def _gemm(sized: Sized) -> int:
    output = sized.output()
    bias = volume(output) if sized.has_input(2) else 0
    return _product(output, sized.input(0), bool(sized.integer("transA", 0))) + bias


def _fused_gemm(sized: Sized) -> int:
    return _gemm(sized) + volume(sized.output())


def _quantized_gemm(sized: Sized) -> int:
    """QGemm: inputs a, a_scale, a_zero_point, b, ..."""
    return _product(sized.output(), sized.input(0), bool(sized.integer("transA", 0)))


def _blockwise(sized: Sized) -> int:
    """MatMulNBits: the weights are packed, so K and N come from attributes."""
    rows = sized.input(0)[:-1]
    return matmul_flops(rows, sized.integer("K"), sized.integer("N"))


def _convolution(weight: int, bias: int) -> Callable[[Sized], int]:
    """Counter for a convolution whose weights `[C_out, C_in/group, *kernel]` are input `weight`."""

    def count(sized: Sized) -> int:
        kernel = sized.input(weight)
        return conv_flops(sized.output(), kernel[2:], kernel[1], bias=sized.has_input(bias))

    return count


def _fused_convolution(sized: Sized) -> int:
    """FusedConv: an activation, and before it possibly the addition of input 3, to each element."""
    extra = 2 if sized.has_input(3) else 1
    return _convolution(1, 2)(sized) + extra * volume(sized.output())


def _transposed_convolution(sized: Sized) -> int:
    """ConvTranspose, weights `[C_in, C_out/group, *kernel]`: every input element is spread by the kernel."""
    kernel = sized.input(1)
    bias = volume(sized.output()) if sized.has_input(2) else 0
    return conv_flops(sized.input(0), kernel[2:], kernel[1]) + bias


# Gates, and the operations per state element and step besides the products (specification's equations,
# an activation counting 1): RNN adds and activates; GRU and LSTM also mix gates and states.
_RECURRENT = {"RNN": (1, 2), "GRU": (3, 10), "LSTM": (4, 12)}


def _recurrent(sized: Sized) -> int:
    """RNN, GRU, LSTM: X `[seq, batch, inputs]` (layout 0), W `[directions, gates * hidden, inputs]`."""
    first, second, inputs = sized.input(0)
    steps, batch = (second, first) if sized.integer("layout", 0) else (first, second)
    directions, _, hidden = sized.input(2)
    gates, pointwise = _RECURRENT[sized.node.op_type]
    return directions * recurrent_flops(steps, batch, inputs, hidden, gates, pointwise)


def _quantized_recurrent(sized: Sized) -> int:
    """DynamicQuantizeLSTM: W and R are transposed, `[directions, inputs, 4 * hidden]`."""
    steps, batch, inputs = sized.input(0)
    hidden = sized.integer("hidden_size")
    return sized.input(2)[0] * recurrent_flops(steps, batch, inputs, hidden, *_RECURRENT["LSTM"])


def _einsum(sized: Sized) -> int:
    """Operands are contracted from left to right, as ONNX Runtime does it."""
    equation = sized.text("equation")
    if equation is None:
        raise UnknownShapeError
    terms, output, sizes = _labels(equation.replace(" ", ""), sized.inputs())
    total, current = 0, set(terms[0])
    for index, term in enumerate(terms[1:], start=1):
        needed = set(output).union(*terms[index + 1 :])
        joined = current | set(term)
        kept = joined & needed
        total += volume([sizes[label] for label in joined]) * (2 if kept != joined else 1)
        current = kept
    if len(terms) == 1 and set(terms[0]) != set(output):
        total = volume([sizes[label] for label in set(terms[0])])
    return total


def _labels(equation: str, shapes: Sequence[Shape]) -> tuple[list[list[str]], list[str], dict[str, int]]:
    """Labels per operand, labels of the result, and the size of each; `...` gets labels of its own."""
    left, arrow, right = equation.partition("->")
    written = left.split(",")
    if len(written) != len(shapes):
        raise UnknownShapeError
    sizes: dict[str, int] = {}
    terms: list[list[str]] = []
    for text, shape in zip(written, shapes, strict=True):
        term = _expand(text, len(shape))
        if len(term) != len(shape):
            raise UnknownShapeError
        for label, size in zip(term, shape, strict=True):
            sizes[label] = max(size, sizes.get(label, 1))
        terms.append(term)
    broadcast = sorted({label for term in terms for label in term if label.startswith("...")}, reverse=True)
    if arrow:
        head, dots, tail = right.partition("...")
        return terms, [*head, *(broadcast if dots else ()), *tail], sizes
    letters = [label for term in terms for label in term if not label.startswith("...")]
    return terms, [*broadcast, *sorted(label for label in set(letters) if letters.count(label) == 1)], sizes


def _expand(text: str, rank: int) -> list[str]:
    """Labels of one operand; the dimensions under `...` are numbered from the right, as they broadcast."""
    head, dots, tail = text.partition("...")
    if not dots:
        return list(text)
    hidden = rank - len(head) - len(tail)
    return [*head, *(f"...{k}" for k in reversed(range(hidden))), *tail]


_MS = "com.microsoft"
COUNTERS: dict[tuple[str, str], Callable[[Sized], int]] = {
    ("", "MatMul"): _matmul,
    ("", "MatMulInteger"): _matmul,
    ("", "QLinearMatMul"): _matmul,
    ("", "Gemm"): _gemm,
    ("", "Conv"): _convolution(1, 2),
    ("", "ConvInteger"): _convolution(1, 99),
    ("", "QLinearConv"): _convolution(3, 8),
    ("", "ConvTranspose"): _transposed_convolution,
    ("", "Einsum"): _einsum,
    ("", "RNN"): _recurrent,
    ("", "GRU"): _recurrent,
    ("", "LSTM"): _recurrent,
    (_MS, "DynamicQuantizeLSTM"): _quantized_recurrent,
    (_MS, "FusedMatMul"): _fused_matmul,
    (_MS, "TransposeMatMul"): _fused_matmul,
    (_MS, "FusedGemm"): _fused_gemm,
    (_MS, "FusedConv"): _fused_convolution,
    (_MS, "MatMulIntegerToFloat"): _matmul,
    (_MS, "DynamicQuantizeMatMul"): _matmul,
    (_MS, "MatMulNBits"): _blockwise,
    (_MS, "QGemm"): _quantized_gemm,
}
