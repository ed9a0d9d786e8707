"""Messages that parse, but make no graph."""

from __future__ import annotations

import itertools
from pathlib import Path

import numpy as np
import onnx
from onnx import TensorProto, helper

from hostile.parts import Table, ints, model, parsed, with_weight

TABLE = Table()
add = TABLE.add
NODE = helper.make_node


@add("cycle", 2, "")
def _(folder: Path) -> onnx.ModelProto:
    """Two nodes that wait for each other."""
    return model([NODE("Add", ["x", "b"], ["a"]), NODE("Neg", ["a"], ["b"]), NODE("Neg", ["b"], ["y"])])


@add("cycle-of-one", 2, "")
def _(folder: Path) -> onnx.ModelProto:
    """A node that waits for itself."""
    return model([NODE("Add", ["x", "a"], ["a"]), NODE("Neg", ["a"], ["y"])])


@add("function-calls-itself", 2, "calls itself")
def _(folder: Path) -> onnx.ModelProto:
    """A function without an end."""
    return _functions(("f", "f"))


@add("functions-call-each-other", 2, "calls itself")
def _(folder: Path) -> onnx.ModelProto:
    """Two functions without an end."""
    return _functions(("f", "g"), ("g", "f"))


def _functions(*calls: tuple[str, str]) -> onnx.ModelProto:
    imports = [helper.make_opsetid("", 21), helper.make_opsetid("f", 1)]
    functions = [
        helper.make_function("f", name, ["a"], ["b"], [NODE(called, ["a"], ["b"], domain="f")], imports)
        for name, called in calls
    ]
    found = model([NODE("f", ["x"], ["y"], domain="f")], functions=functions)
    found.opset_import.append(helper.make_opsetid("f", 1))
    return found


@add("branches-nested", 0, "")
def _(folder: Path) -> onnx.ModelProto:
    """Branches in branches, as deep as protobuf's readers allow: valid, and must come out right."""
    return _nested(28)


@add("branches-nested-deeper", 66, "nested too deeply")
def _(folder: Path) -> bytes:
    """A thousand branches in each other."""
    inner = b""
    for k in range(1000):
        inner = _branch(k, inner)
    return _shell(inner)


def _branch(k: int, inner: bytes) -> bytes:
    """A graph with one If, whose two branches are `inner`, in the wire format."""
    from hostile.parts import block, tag, varint

    name = f"r{k}".encode()
    if not inner:
        node = block(1, b"x") + block(2, name) + block(4, b"Neg")
    else:
        attributes = b"".join(
            block(5, block(1, what) + block(6, inner if what == b"then_branch" else _leaf(k)) + tag(20, 0) + varint(5))
            for what in (b"then_branch", b"else_branch")
        )
        node = block(1, b"c") + block(2, name) + block(4, b"If") + attributes
    return block(1, node) + block(2, b"g") + block(12, block(1, name))


def _leaf(k: int) -> bytes:
    from hostile.parts import block

    name = f"e{k}".encode()
    return block(1, block(1, b"x") + block(2, name) + block(4, b"Neg")) + block(2, b"g") + block(12, block(1, name))


def _shell(graph: bytes) -> bytes:
    from hostile.parts import block, tag, varint

    return tag(1, 0) + varint(10) + block(8, tag(2, 0) + varint(21)) + block(7, graph)


def _nested(depth: int) -> onnx.ModelProto:
    def graph(level: int) -> onnx.GraphProto:
        name = f"r{level}"
        if level == depth:
            nodes = [NODE("Sin", ["x"], [name])]
        else:
            other = helper.make_graph(
                [NODE("Cos", ["x"], [f"e{level}"])],
                "else",
                [],
                [helper.make_tensor_value_info(f"e{level}", TensorProto.FLOAT, None)],
            )
            nodes = [NODE("If", ["c"], [name], then_branch=graph(level + 1), else_branch=other)]
        return helper.make_graph(nodes, "then", [], [helper.make_tensor_value_info(name, TensorProto.FLOAT, None)])

    inner = graph(0)
    found = model([*inner.node, NODE("Neg", ["r0"], ["y"])])
    found.graph.input.append(helper.make_tensor_value_info("c", TensorProto.BOOL, []))
    return found


@add("value-defined-twice", 2, "")
def _(folder: Path) -> onnx.ModelProto:
    """Two nodes with one output name."""
    return model([NODE("Neg", ["x"], ["a"]), NODE("Abs", ["x"], ["a"]), NODE("Neg", ["a"], ["y"])])


@add("outputs-alike", 2, "")
def _(folder: Path) -> onnx.ModelProto:
    """One node with the same output name twice."""
    return model([NODE("Split", ["x"], ["a", "a"], num_outputs=2, axis=1), NODE("Neg", ["a"], ["y"])])


@add("input-twice", 2, "")
def _(folder: Path) -> onnx.ModelProto:
    """Two inputs of one name."""
    found = model([NODE("Neg", ["x"], ["y"])])
    found.graph.input.append(found.graph.input[0])
    return found


@add("initializer-twice", (0, 2, 5), "")
def _(folder: Path) -> onnx.ModelProto:
    """Two weights of one name and different contents; ONNX Runtime takes the last, and what is written must too."""
    tensors = [helper.make_tensor("w", TensorProto.FLOAT, [4], [k] * 4) for k in (1.0, 2.0)]
    return model([NODE("Add", ["x", "w"], ["y"])], tensors)


@add("output-of-nothing", 2, "")
def _(folder: Path) -> onnx.ModelProto:
    """An output that nothing computes."""
    return model([NODE("Neg", ["x"], ["z"])])


@add("input-of-nothing", 2, "")
def _(folder: Path) -> onnx.ModelProto:
    """A node that reads a name that nobody has."""
    return model([NODE("Add", ["x", "nobody"], ["y"])])


@add("too-few-inputs", (2, 5), "")
def _(folder: Path) -> onnx.ModelProto:
    """An addition of one."""
    return model([NODE("Add", ["x"], ["y"])])


@add("no-inputs", (2, 5), "")
def _(folder: Path) -> onnx.ModelProto:
    """Operators of every kind without any input."""
    names = ["Add", "Gemm", "Conv", "Reshape", "Transpose", "Slice", "If", "Softmax", "LayerNormalization", "Clip"]
    return model([*(NODE(name, [], [f"v{k}"]) for k, name in enumerate(names)), NODE("Neg", ["x"], ["y"])])


@add("too-many-inputs", (2, 5), "")
def _(folder: Path) -> onnx.ModelProto:
    """A negation of five."""
    return model([NODE("Neg", ["x"] * 5, ["y"])])


@add("no-outputs-of-nodes", 2, "has no outputs")
def _(folder: Path) -> onnx.ModelProto:
    """Operators of every kind without any output."""
    names = ["Add", "Gemm", "Conv", "MatMul", "Reshape", "Concat", "Where"]
    return model([*(NODE(name, ["x", "x", "x"], []) for name in names), NODE("Neg", ["x"], ["y"])])


@add("names-empty", (2, 5), "")
def _(folder: Path) -> onnx.ModelProto:
    """Empty names where something must be."""
    return model([NODE("Add", ["", ""], [""]), NODE("", [""], ["y"])])


@add("unknown-operator", 5, "")
def _(folder: Path) -> onnx.ModelProto:
    """An operator that nobody knows."""
    return model([NODE("Frobnicate", ["x"], ["y"])])


@add("opset-missing", 2, "")
def _(folder: Path) -> onnx.ModelProto:
    """No operator set at all."""
    found = model([NODE("Neg", ["x"], ["y"])])
    del found.opset_import[:]
    return found


@add("opset-of-another-domain-only", (0, 2, 5), "")
def _(folder: Path) -> onnx.ModelProto:
    """The operator set of a domain that no node uses."""
    found = model([NODE("Neg", ["x"], ["y"])])
    found.opset_import[0].domain = "elsewhere"
    return found


@add("opset-unknown", 2, "cannot be")
def _(folder: Path) -> onnx.ModelProto:
    """An operator set of the far future."""
    found = model([NODE("Neg", ["x"], ["y"])])
    found.opset_import[0].version = 1 << 40
    return found


@add("opset-negative", 2, "cannot be")
def _(folder: Path) -> onnx.ModelProto:
    """An operator set before the first."""
    found = model([NODE("Neg", ["x"], ["y"])])
    found.opset_import[0].version = -1
    return found


@add("ir-version-unknown", 5, "")
def _(folder: Path) -> onnx.ModelProto:
    """A file format of the far future."""
    found = model([NODE("Neg", ["x"], ["y"])])
    found.ir_version = 1 << 40
    return found


@add("ir-version-negative", (0, 2, 5), "")
def _(folder: Path) -> onnx.ModelProto:
    """A file format before the first."""
    found = model([NODE("Neg", ["x"], ["y"])])
    found.ir_version = -3
    return found


@add("raw-data-too-short", 2, "its shape and type take")
def _(folder: Path) -> onnx.ModelProto:
    """Fewer bytes than elements."""
    return with_weight(TensorProto(data_type=TensorProto.FLOAT, dims=[4], raw_data=bytes(15)))


@add("raw-data-too-long", 2, "its shape and type take")
def _(folder: Path) -> onnx.ModelProto:
    """More bytes than elements."""
    return with_weight(TensorProto(data_type=TensorProto.FLOAT, dims=[4], raw_data=bytes(64)))


@add("raw-and-typed-data", (0, 2, 5), "")
def _(folder: Path) -> onnx.ModelProto:
    """Elements twice, and not the same; ONNX Runtime takes the raw ones or refuses, and what is written must be those."""
    return with_weight(
        TensorProto(data_type=TensorProto.FLOAT, dims=[4], raw_data=bytes(16), float_data=[1.0, 2.0, 3.0, 4.0])
    )


@add("strings-as-numbers", 2, "its shape and type take")
def _(folder: Path) -> onnx.ModelProto:
    """Strings in a tensor of floats."""
    return with_weight(TensorProto(data_type=TensorProto.FLOAT, dims=[4], string_data=[b"a", b"b", b"c", b"d"]))


@add("numbers-as-strings", 2, "")
def _(folder: Path) -> onnx.ModelProto:
    """Raw bytes in a tensor of strings."""
    return with_weight(TensorProto(data_type=TensorProto.STRING, dims=[4], raw_data=bytes(16)))


@add("bools-out-of-range", (2, 5), "")
def _(folder: Path) -> onnx.ModelProto:
    """Truth values of 7 and -1, and a float16 of 2 to the 30."""
    weights = [
        TensorProto(name="w", data_type=TensorProto.BOOL, dims=[4], int32_data=[7, -1, 0, 1]),
        TensorProto(name="h", data_type=TensorProto.FLOAT16, dims=[4], int32_data=[1 << 30, -1, 0, 1]),
    ]
    nodes = [NODE("Cast", ["h"], ["f"], to=1), NODE("Where", ["w", "x", "f"], ["y"])]
    return model(nodes, weights)


@add("data-type-unknown", 2, "unknown data type")
def _(folder: Path) -> onnx.ModelProto:
    """A data type that there is not."""
    return with_weight(TensorProto(data_type=99, dims=[4], raw_data=bytes(16)))


@add("data-type-undefined", 2, "unknown data type")
def _(folder: Path) -> onnx.ModelProto:
    """No data type."""
    return with_weight(TensorProto(data_type=0, dims=[4], raw_data=bytes(16)))


@add("input-type-unknown", 2, "unknown element type")
def _(folder: Path) -> onnx.ModelProto:
    """An input of a data type that there is not."""
    found = model([NODE("Neg", ["x"], ["y"])])
    found.graph.input[0].type.tensor_type.elem_type = 1234567
    return found


@add("dimension-negative", 2, "negative dimension")
def _(folder: Path) -> onnx.ModelProto:
    """A weight of minus four elements."""
    return with_weight(TensorProto(data_type=TensorProto.FLOAT, dims=[-4], raw_data=bytes(16)))


@add("input-dimension-negative", (0, 2, 5), "")
def _(folder: Path) -> onnx.ModelProto:
    """An input of minus four elements, which some exporters write for unknown ones."""
    return model([NODE("Neg", ["x"], ["y"])], x=[-4])


@add("sparse-index-beyond", 2, "outside of its shape")
def _(folder: Path) -> onnx.ModelProto:
    """An element of a sparse tensor outside of it."""
    return _sparse(helper.make_tensor("w", TensorProto.FLOAT, [1], [1.0]), ints("", 1 << 40))


@add("sparse-index-negative", 2, "outside of its shape")
def _(folder: Path) -> onnx.ModelProto:
    """An element of a sparse tensor before it."""
    return _sparse(helper.make_tensor("w", TensorProto.FLOAT, [1], [1.0]), ints("", -1))


@add("sparse-indices-missing", 2, "")
def _(folder: Path) -> onnx.ModelProto:
    """Two elements of a sparse tensor, and one index."""
    return _sparse(helper.make_tensor("w", TensorProto.FLOAT, [2], [1.0, 2.0]), ints("", 1))


@add("sparse-indices-fractional", 2, "")
def _(folder: Path) -> onnx.ModelProto:
    """An index of a sparse tensor that is no whole number."""
    index = onnx.numpy_helper.from_array(np.array([1.5], np.float32), "")
    return _sparse(helper.make_tensor("w", TensorProto.FLOAT, [1], [1.0]), index)


def _sparse(values: onnx.TensorProto, indices: onnx.TensorProto) -> onnx.ModelProto:
    found = model([NODE("Add", ["x", "w"], ["y"])])
    found.graph.sparse_initializer.append(onnx.SparseTensorProto(values=values, indices=indices, dims=[4]))
    return found


@add("graph-without-outputs", (2, 5), "")
def _(folder: Path) -> onnx.ModelProto:
    """Nothing that anybody wants to know."""
    found = model([NODE("Neg", ["x"], ["y"])])
    del found.graph.output[:]
    return found


@add("graph-empty", (2, 5, 66), "")
def _(folder: Path) -> bytes:
    """A graph of no bytes."""
    from hostile.parts import block

    return b"\x08\x0a" + block(7, b"")


@add("names-nul", (0, 2, 5), "")
def _(folder: Path) -> onnx.ModelProto:
    """Names that C would read as one another."""
    return model([NODE("Neg", ["x"], ["a\0b"]), NODE("Abs", ["a\0b"], ["a\0c"]), NODE("Neg", ["a\0c"], ["y"])])


@add("names-unicode", 0, "")
def _(folder: Path) -> onnx.ModelProto:
    """Names in many scripts, right to left too, and a line break: nothing wrong with them."""
    names = ["x", "значение", "قيمة\u202e", "値\n2", "🙂", "y"]
    return model([NODE("Sin", [a], [b], name=f"узел {a}") for a, b in itertools.pairwise(names)])


@add("names-no-utf8", (0, 2, 5, 66), "")
def _(folder: Path) -> bytes:
    """Names that are no UTF-8."""
    found = model([NODE("Sin", ["x"], ["a@@@b"]), NODE("Neg", ["a@@@b"], ["y"])])
    return found.SerializeToString().replace(b"a@@@b", b"a\xff\xfe\x80b")


@add("name-of-a-megabyte", 0, "")
def _(folder: Path) -> onnx.ModelProto:
    """A name of a megabyte."""
    return model([NODE("Sin", ["x"], ["a" * (1 << 20)]), NODE("Cos", ["a" * (1 << 20)], ["y"])])


@add("attribute-of-another-type", (2, 5), "")
def _(folder: Path) -> onnx.ModelProto:
    """Text where axes must be, and numbers where text must be."""
    weight = helper.make_tensor("w", TensorProto.FLOAT, [1, 1, 1, 1], [1.0])
    nodes = [
        NODE("Transpose", ["x"], ["a"], perm="backwards"),
        NODE("Conv", ["a", "w"], ["b"], auto_pad=7, strides=[0.5, 0.5]),
        NODE("Cast", ["b"], ["y"], to="float"),
    ]
    return model(nodes, [weight], x=[1, 1, 4, 4])


@add("attributes-out-of-range", (2, 5), "")
def _(folder: Path) -> onnx.ModelProto:
    """Axes, permutations, groups and paddings that cannot be."""
    weight = helper.make_tensor("w", TensorProto.FLOAT, [1, 1, 1, 1], [1.0])
    nodes = [
        NODE("Transpose", ["x"], ["a"], perm=[7, -1, 0, 0]),
        NODE("Conv", ["x", "w"], ["b"], group=0, strides=[0, 0], pads=[-9, 1 << 40, 3]),
        NODE("Concat", ["a", "b"], ["c"], axis=1 << 40),
        NODE("Softmax", ["c"], ["d"], axis=-99),
        NODE("Flatten", ["d"], ["e"], axis=12),
        NODE("Cast", ["e"], ["y"], to=12345),
    ]
    return model(nodes, [weight], x=[1, 1, 4, 4])


@add("attribute-reference", (0, 2, 5), "")
def _(folder: Path) -> onnx.ModelProto:
    """A reference to an attribute of a function, outside of any."""
    node = NODE("Softmax", ["x"], ["y"])
    node.attribute.add(name="axis", ref_attr_name="nobody", type=onnx.AttributeProto.INT)
    return model([node])


@add("branch-missing", (2, 5), "")
def _(folder: Path) -> onnx.ModelProto:
    """An If without branches, and a Loop without a body."""
    true = helper.make_tensor("t", TensorProto.BOOL, [], [True])
    return model([NODE("If", ["t"], ["a"]), NODE("Loop", ["", "t", "a"], ["y"])], [true])


@add("loop-body-of-another-shape", (2, 5), "")
def _(folder: Path) -> onnx.ModelProto:
    """A Loop whose body takes and gives another number of values."""
    return parsed("""
        g (float[4] x) => (float[4] y) <bool t = {1}, int64 n = {1}> {
            y, z = Loop (n, t, x, x, x) <body = b () => (float u) { u = Constant <value = float {1}> () }>
        }""")
