"""Write models that are too large for the repository: Llama-style layers with random weights.

    python benchmarks/large_models.py FOLDER            # 6 GB with external data, 1.9 GB in a single file
    python benchmarks/large_models.py FOLDER --layers 2

They are written weight by weight, so that this needs little memory; the weights cycle through a few
megabytes of random numbers, shifted from tensor to tensor, since drawing billions takes minutes.
"""

from __future__ import annotations

import argparse
import shutil
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import onnx
from onnx import TensorProto, helper

WIDTH, HIDDEN, HEADS, VOCABULARY = 2048, 6656, 16, 32000
PAGE = 4096
PATTERN = (np.random.default_rng(0).standard_normal(1 << 22) * 0.02).astype(np.float32)

Weights = dict[str, tuple[int, ...]]


def elements(number: int, shape: tuple[int, ...]) -> Iterator[bytes]:
    """The bytes of the weight with that number, in pieces; no two weights are alike."""
    left = int(np.prod(shape))
    start = number * 7919 % PATTERN.size
    scale = np.float32(1 + number / 1000)
    while left:
        piece = PATTERN[start : start + left] * scale
        yield piece.tobytes()
        left -= piece.size
        start = 0


def layer(prefix: str, x: str, weights: Weights) -> tuple[list[onnx.NodeProto], str]:
    """One layer as exporters write it: RMS normalization, attention without positions, gated feed-forward."""
    nodes: list[onnx.NodeProto] = []

    def op(kind: str, *inputs: str, **attributes: object) -> str:
        output = f"{prefix}/{kind}_{len(nodes)}"
        nodes.append(helper.make_node(kind, list(inputs), [output], output, **attributes))
        return output

    def weight(name: str, *shape: int) -> str:
        weights[f"{prefix}.{name}"] = shape
        return f"{prefix}.{name}"

    def normalized(value: str, name: str) -> str:
        mean = op("ReduceMean", op("Pow", value, "two"), "last", keepdims=1)
        root = op("Sqrt", op("Add", mean, "epsilon"))
        return op("Mul", weight(name, WIDTH), op("Div", value, root))

    def heads(value: str, name: str) -> str:
        product = op("MatMul", value, weight(name, WIDTH, WIDTH))
        return op("Transpose", op("Reshape", product, "to_heads"), perm=[0, 2, 1, 3])

    y = normalized(x, "input_norm")
    q, k, v = heads(y, "q"), heads(y, "k"), heads(y, "v")
    scores = op("Mul", op("MatMul", q, op("Transpose", k, perm=[0, 1, 3, 2])), "scale")
    mixed = op("MatMul", op("Softmax", scores, axis=-1), v)
    joined = op("Reshape", op("Transpose", mixed, perm=[0, 2, 1, 3]), "to_width")
    x = op("Add", x, op("MatMul", joined, weight("o", WIDTH, WIDTH)))
    y = normalized(x, "post_norm")
    gate = op("MatMul", y, weight("gate", WIDTH, HIDDEN))
    wide = op("Mul", op("Mul", gate, op("Sigmoid", gate)), op("MatMul", y, weight("up", WIDTH, HIDDEN)))
    return nodes, op("Add", x, op("MatMul", wide, weight("down", HIDDEN, WIDTH)))


def skeleton(layers: int) -> tuple[onnx.ModelProto, Weights]:
    """The model without its large weights, and these."""
    weights: Weights = {"embedding": (VOCABULARY, WIDTH)}
    x = "x"
    nodes = [helper.make_node("Gather", ["embedding", "ids"], [x], "embed")]
    for number in range(layers):
        made, x = layer(f"layer{number}", x, weights)
        nodes += made
    weights["head"] = (WIDTH, VOCABULARY)
    nodes.append(helper.make_node("MatMul", [x, "head"], ["logits"], "head"))
    small = {
        "two": np.float32(2), "epsilon": np.float32(1e-6), "scale": np.float32((WIDTH // HEADS) ** -0.5),
        "last": np.array([-1]), "to_heads": np.array([0, 0, HEADS, WIDTH // HEADS]),
        "to_width": np.array([0, 0, WIDTH]),
    }  # fmt: skip
    graph = helper.make_graph(
        nodes, "llama", [helper.make_tensor_value_info("ids", TensorProto.INT64, ["batch", "sequence"])],
        [helper.make_tensor_value_info("logits", TensorProto.FLOAT, ["batch", "sequence", VOCABULARY])],
        [onnx.numpy_helper.from_array(np.asarray(value), name) for name, value in small.items()],
    )  # fmt: skip
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=9), weights


def write_external(path: Path, layers: int) -> None:
    """The model, and its weights in `PATH.data`, at multiples of a page."""
    model, weights = skeleton(layers)
    with path.with_name(f"{path.name}.data").open("wb") as data:
        for number, (name, shape) in enumerate(weights.items()):
            data.write(bytes(-data.tell() % PAGE))
            tensor = TensorProto(name=name, data_type=TensorProto.FLOAT, dims=shape, data_location=TensorProto.EXTERNAL)
            place = {"location": f"{path.name}.data", "offset": data.tell(), "length": 4 * int(np.prod(shape))}
            for key, value in place.items():
                tensor.external_data.add(key=key, value=str(value))
            for piece in elements(number, shape):
                data.write(piece)
            model.graph.initializer.append(tensor)
    path.write_bytes(model.SerializeToString())


def write_single(path: Path, layers: int) -> None:
    """The model in one file: a message may be written in parts, and its graph goes on with each of them."""
    model, weights = skeleton(layers)
    with path.open("wb") as file:
        file.write(model.SerializeToString())
        for number, (name, shape) in enumerate(weights.items()):
            tensor = TensorProto(name=name, data_type=TensorProto.FLOAT, dims=shape).SerializeToString()
            length = 4 * int(np.prod(shape))
            tensor += b"\x4a" + varint(length)  # field 9, raw_data
            graph = b"\x2a" + varint(len(tensor) + length) + tensor  # field 5, initializer
            file.write(b"\x3a" + varint(len(graph) + length) + graph)  # field 7, graph
            for piece in elements(number, shape):
                file.write(piece)


def varint(number: int) -> bytes:
    """A number in protobuf's wire format."""
    out = bytearray()
    while number >= 0x80:
        out.append(number & 0x7F | 0x80)
        number >>= 7
    return bytes([*out, number])


def bytes_of(layers: int) -> int:
    """Bytes of the weights."""
    return sum(4 * int(np.prod(shape)) for shape in skeleton(layers)[1].values())


def main() -> None:
    """Write both models."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("folder", type=Path)
    parser.add_argument("--layers", type=int, default=0, help="instead of 24 and 6 (external data and single file)")
    arguments = parser.parse_args()
    arguments.folder.mkdir(parents=True, exist_ok=True)
    for write, name, layers in ((write_external, "external.onnx", 24), (write_single, "single.onnx", 6)):
        layers = arguments.layers or layers
        size = bytes_of(layers)
        if shutil.disk_usage(arguments.folder).free < 3 * size:
            raise SystemExit(f"{arguments.folder} has too little space: {name} and a copy of it need {2 * size} bytes")
        write(arguments.folder / name, layers)
        print(f"{arguments.folder / name}: {size} bytes of weights")


if __name__ == "__main__":
    main()
