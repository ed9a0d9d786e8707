"""Small files that ask for more memory or time than anybody has."""

from __future__ import annotations

from pathlib import Path

import onnx
from onnx import TensorProto, helper

from hostile.parts import LIMITS, Table, ints, model, parsed, scalar, with_weight

TABLE = Table()
add = TABLE.add
NODE = helper.make_node


def _summed(*nodes: onnx.NodeProto, initializers: tuple[onnx.TensorProto, ...]) -> onnx.ModelProto:
    """`y = x + sum(b)`, where b is the bomb."""
    tail = [NODE("ReduceSum", ["b"], ["s"], keepdims=0), NODE("Add", ["x", "s"], ["y"])]
    return model([*nodes, *tail], initializers)


@add("constant-of-shape", 5, "", LIMITS)
def _(folder: Path) -> onnx.ModelProto:
    """A terabyte of zeros."""
    return _summed(NODE("ConstantOfShape", ["n"], ["b"]), initializers=(ints("n", 1 << 38),))


@add("constant-of-shape-overflow", 5, "", LIMITS)
def _(folder: Path) -> onnx.ModelProto:
    """More elements than 64 bits count."""
    return _summed(NODE("ConstantOfShape", ["n"], ["b"]), initializers=(ints("n", *[1 << 40] * 4),))


@add("constant-of-shape-negative", 5, "", LIMITS)
def _(folder: Path) -> onnx.ModelProto:
    """A negative size."""
    return _summed(NODE("ConstantOfShape", ["n"], ["b"]), initializers=(ints("n", -5),))


@add("tile", 5, "", LIMITS)
def _(folder: Path) -> onnx.ModelProto:
    """One element a trillion times."""
    return _summed(NODE("Tile", ["one", "n"], ["b"]), initializers=(scalar("one", [1.0]), ints("n", 1 << 40)))


@add("expand", 5, "", LIMITS)
def _(folder: Path) -> onnx.ModelProto:
    """One element over a trillion places."""
    import numpy as np

    one = onnx.numpy_helper.from_array(np.ones(1, np.float32), "one")
    return _summed(NODE("Expand", ["one", "n"], ["b"]), initializers=(one, ints("n", 1 << 20, 1 << 20)))


@add("range", 5, "", LIMITS)
def _(folder: Path) -> onnx.ModelProto:
    """All numbers up to 10 to the 15."""
    nodes = [NODE("Range", ["a", "z", "d"], ["r"]), NODE("Cast", ["r"], ["b"], to=TensorProto.FLOAT)]
    return _summed(*nodes, initializers=(scalar("a", 0), scalar("z", 10**15), scalar("d", 1)))


@add("range-by-zero", 5, "", LIMITS)
def _(folder: Path) -> onnx.ModelProto:
    """Numbers in steps of zero."""
    nodes = [NODE("Range", ["a", "z", "d"], ["r"]), NODE("Cast", ["r"], ["b"], to=TensorProto.FLOAT)]
    return _summed(*nodes, initializers=(scalar("a", 0), scalar("z", 10), scalar("d", 0)))


@add("one-hot", 5, "", LIMITS)
def _(folder: Path) -> onnx.ModelProto:
    """A one among a trillion zeros."""
    import numpy as np

    values = onnx.numpy_helper.from_array(np.array([0, 1], np.float32), "v")
    node = NODE("OneHot", ["i", "n", "v"], ["b"])
    return _summed(node, initializers=(ints("i", 3), scalar("n", 1 << 40), values))


@add("pad", 5, "", LIMITS)
def _(folder: Path) -> onnx.ModelProto:
    """An edge of a terabyte."""
    return model([NODE("Pad", ["x", "p"], ["b"]), NODE("ReduceMax", ["b"], ["y"])], [ints("p", 0, 1 << 38, 0, 0)])


@add("resize", 5, "", LIMITS)
def _(folder: Path) -> onnx.ModelProto:
    """An image of a terabyte."""
    nodes = [NODE("Resize", ["x", "", "", "n"], ["b"]), NODE("ReduceMax", ["b"], ["y"])]
    return model(nodes, [ints("n", 1, 1, 1 << 19, 1 << 19)], x=[1, 1, 2, 2])


@add("outer-product", 5, "", LIMITS)
def _(folder: Path) -> onnx.ModelProto:
    """Two short vectors, and all products of them and of these."""
    return parsed("""
        g (float[4] x) => (float y) <int64[2] row = {1, -1}, int64[2] column = {-1, 1}, int64[1] n = {1048576}> {
            v = ConstantOfShape(n)  r = Reshape(v, row)  c = Reshape(v, column)  b = MatMul(c, r)
            s = ReduceSum <keepdims = 0> (b)  m = ReduceMax <keepdims = 0> (x)  y = Add(s, m)
        }""")


@add("doubling", 5, "", LIMITS)
def _(folder: Path) -> onnx.ModelProto:
    """A vector appended to itself forty times; each single step is harmless."""
    nodes = [NODE("Concat", [f"d{k}", f"d{k}"], [f"d{k + 1}"], axis=0) for k in range(40)]
    nodes[-1].output[0] = "b"
    import numpy as np

    start = onnx.numpy_helper.from_array(np.ones(8, np.float32), "d0")
    return _summed(*nodes, initializers=(start,))


@add("doubling-of-strings", (0, 5), "", LIMITS)
def _(folder: Path) -> onnx.ModelProto:
    """Forty doublings of a text, where no shape tells how large it gets."""
    start = helper.make_tensor("d0", TensorProto.STRING, [1], [b"ha"])
    nodes = [NODE("StringConcat", [f"d{k}", f"d{k}"], [f"d{k + 1}"]) for k in range(40)]
    nodes += [NODE("Shape", ["d40"], ["n"]), NODE("Cast", ["n"], ["f"], to=TensorProto.FLOAT)]
    return model([*nodes, NODE("Add", ["x", "f"], ["y"])], [start])


@add("input-shape", 5, "", LIMITS)
def _(folder: Path) -> onnx.ModelProto:
    """An input of a terabyte."""
    return model([NODE("Neg", ["x"], ["y"])], x=[1 << 19, 1 << 19], y=[1 << 19, 1 << 19])


@add("initializer-shape", 2, "its shape and type take")
def _(folder: Path) -> onnx.ModelProto:
    """A weight that claims a terabyte and brings nothing."""
    return with_weight(TensorProto(data_type=TensorProto.FLOAT, dims=[1 << 38]))


@add("initializer-shape-overflow", 2, "nobody can count")
def _(folder: Path) -> onnx.ModelProto:
    """A shape whose product is 0 in 64 bits."""
    return with_weight(TensorProto(data_type=TensorProto.FLOAT, dims=[1 << 32, 1 << 32], raw_data=b""))


@add("initializer-empty-and-huge", (2, 5), "", LIMITS)
def _(folder: Path) -> onnx.ModelProto:
    """No elements, but a dimension that no stride can count."""
    return with_weight(TensorProto(data_type=TensorProto.FLOAT, dims=[0, 1 << 62, 1 << 62], raw_data=b""))


@add("sparse-shape", (2, 5), "", LIMITS)
def _(folder: Path) -> onnx.ModelProto:
    """One element of a sparse tensor of a petabyte."""
    sparse = helper.make_sparse_tensor(helper.make_tensor("w", TensorProto.FLOAT, [1], [1.0]), ints("", 5), [1 << 48])
    found = model([NODE("ReduceSum", ["w"], ["s"], keepdims=0), NODE("Add", ["x", "s"], ["y"])])
    found.graph.sparse_initializer.append(sparse)
    return found


@add("loop-rounds", 5, "", LIMITS)
def _(folder: Path) -> onnx.ModelProto:
    """A loop of 2 to the 62 rounds."""
    return _loop(1 << 62)


@add("loop-forever", 5, "", LIMITS)
def _(folder: Path) -> onnx.ModelProto:
    """A loop without an end, in another one."""
    return _loop(None)


def _loop(rounds: int | None) -> onnx.ModelProto:
    def info(name: str, kind: int, shape: list[int]) -> onnx.ValueInfoProto:
        return helper.make_tensor_value_info(name, kind, shape)

    def body(level: int) -> onnx.GraphProto:
        given = [info(f"i{level}", 7, []), info(f"c{level}", 9, []), info(f"v{level}", 1, [])]
        results = [info(f"d{level}", 9, []), info(f"u{level}", 1, [])]
        nodes = [NODE("Identity", [f"c{level}"], [f"d{level}"])]
        if level == 0:
            nodes.append(NODE("Sqrt", ["v0"], ["u0"]))
        else:
            nodes.append(NODE("Loop", [first, f"c{level}", f"v{level}"], [f"u{level}"], body=body(level - 1)))
        return helper.make_graph(nodes, f"body{level}", given, results)

    first = "n" if rounds is not None else ""
    true = helper.make_tensor("t", TensorProto.BOOL, [], [True])
    weights = [true, helper.make_tensor("v", TensorProto.FLOAT, [], [2.0])]
    if rounds is not None:
        weights.append(scalar("n", rounds))
    nodes = [NODE("Loop", [first, "t", "v"], ["r"], body=body(1)), NODE("Add", ["x", "r"], ["y"])]
    return model(nodes, weights)


@add("integer-division-by-zero", 5, "", LIMITS)
def _(folder: Path) -> onnx.ModelProto:
    """A division that ends the process on most processors, once constant and once not."""
    return parsed("""
        g (int64[N] x) => (int64[N] y) <int64 a = {7}, int64 zero = {0}> {
            k = Div(a, zero)  b = Div(x, zero)  y = Add(b, k)
        }""")


@add("functions-doubling", 2, "unfolds to")
def _(folder: Path) -> onnx.ModelProto:
    """Thirty functions that each call the next one twice: a billion nodes when inlined."""
    imports = [helper.make_opsetid("", 21), helper.make_opsetid("f", 1)]
    functions = []
    for k in range(30):
        inner, domain = (f"f{k - 1}", "f") if k else ("Neg", "")
        nodes = [NODE(inner, ["a"], ["b"], domain=domain), NODE(inner, ["b"], ["c"], domain=domain)]
        functions.append(helper.make_function("f", f"f{k}", ["a"], ["c"], nodes, imports))
    found = model([NODE("f29", ["x"], ["y"], domain="f")], functions=functions)
    found.opset_import.append(helper.make_opsetid("f", 1))
    return found


@add("functions-chain", 2, "deep")
def _(folder: Path) -> onnx.ModelProto:
    """Three thousand functions that each call the next one, for readers that recurse."""
    imports = [helper.make_opsetid("", 21), helper.make_opsetid("f", 1)]
    functions = []
    for k in range(3000):
        inner, domain = (f"f{k - 1}", "f") if k else ("Neg", "")
        functions.append(
            helper.make_function("f", f"f{k}", ["a"], ["b"], [NODE(inner, ["a"], ["b"], domain=domain)], imports)
        )
    found = model([NODE("f2999", ["x"], ["y"], domain="f")], functions=functions)
    found.opset_import.append(helper.make_opsetid("f", 1))
    return found


@add("chain-of-nodes", 0, "")
def _(folder: Path) -> onnx.ModelProto:
    """Five thousand nodes in a row: nothing wrong with it, unless somebody recurses."""
    nodes = [NODE("Sin", ["x" if k == 0 else f"v{k}"], [f"v{k + 1}"]) for k in range(5000)]
    nodes[-1].output[0] = "y"
    return model(nodes)
