"""Convolutions by Winograd's algorithm, in standard operators: why ncgopt has no such rule.

    python benchmarks/winograd.py [--threads 1 2] [--seconds 3]

F(2x2, 3x3) (Lavin and Gray, "Fast Algorithms for Convolutional Neural Networks", CVPR 2016) takes 2.25 times fewer
multiplications for a 3x3 convolution with stride 1. In ONNX it is Pad, strided Slices and additions for the
transform of the input, one batch of 16 matrix products, additions and DepthToSpace for that of the output. Each line:
channels in and out, picture, time of Conv over time of that (above 1 where Winograd is faster) with its 95 %
interval, and the largest difference of the results.
"""

from __future__ import annotations

import argparse
from typing import Any

import numpy as np
import onnx
from onnx import numpy_helper

from ncgopt.measure.race import race
from ncgopt.runtime.session import open_session

SHAPES = ((64, 64, 56), (128, 128, 28), (256, 256, 14), (256, 256, 28), (512, 512, 14), (512, 512, 28))
G = np.array([[1, 0, 0], [0.5, 0.5, 0.5], [0.5, -0.5, 0.5], [0, 0, 1]])
INPUT = (("Sub", 0, 2), ("Add", 1, 2), ("Sub", 2, 1), ("Sub", 1, 3))  # rows of B^T
OUTPUT = ((("Add", 0, 1), "Add", 2), (("Sub", 1, 2), "Sub", 3))  # rows of A^T


def main() -> None:
    """Print one line per shape and number of threads."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--threads", type=int, nargs="+", default=[1, 2])
    parser.add_argument("--seconds", type=float, default=3.0)
    options = parser.parse_args()
    rng = np.random.default_rng(0)
    for threads in options.threads:
        for channels, filters, size in SHAPES:
            weight = (rng.standard_normal((filters, channels, 3, 3)) / np.sqrt(9 * channels)).astype(np.float32)
            feeds: dict[str, Any] = {"x": rng.standard_normal((1, channels, size, size)).astype(np.float32)}
            runs = []
            for model in (direct(weight, size), winograd(weight, size)):
                session = open_session(model.SerializeToString(), optimize=True, threads=threads)
                runs.append(lambda session=session, feeds=feeds: session.run(feeds)[0])
            apart = np.abs(runs[0]() - runs[1]()).max()
            found = race(*runs, options.seconds, threads)
            interval = f"{found.low:.3f} to {found.high:.3f}"
            print(
                f"{threads} threads, {channels:4} -> {filters:4} at {size}x{size}: {found.value:.3f} ({interval}), "
                f"apart {apart:.1e}",
                flush=True,
            )


def direct(weight: np.ndarray, size: int) -> onnx.ModelProto:
    """The convolution."""
    return model_of("y = Conv<pads = [1, 1, 1, 1]>(x, w)", weight.shape, size, {"w": weight})


def winograd(weight: np.ndarray, size: int) -> onnx.ModelProto:
    """The same in tiles of 2x2."""
    filters, channels = weight.shape[:2]
    half = size // 2
    transformed = np.einsum("ij,kcjl,ml->imkc", G, weight.astype(np.float64), G).reshape(16, filters, channels)
    weights: dict[str, np.ndarray] = {
        "u": transformed.astype(np.float32),
        "pads": np.array([0, 0, 1, 1, 0, 0, 1, 1]),
        "two": np.array([2]),
        "tiles": np.array([16, channels, half * half]),
        "blocks": np.array([1, 4 * filters, half, half]),
        **{f"at{number}": np.array([number]) for number in (2, 3)},
        **{f"from{number}": np.array([number]) for number in range(4)},
        **{f"to{number}": np.array([number + size - 1]) for number in range(4)},
    }
    lines = ["p = Pad(x, pads)"]

    def taken(source: str, axis: int) -> list[str]:
        for number in range(4):
            slice_ = f"Slice({source}, from{number}, to{number}, at{axis}, two)"
            lines.append(f"{source}_{axis}{number} = {slice_}")
        rows = [f"{source}_{axis}r{number}" for number in range(4)]
        for row, (op, a, b) in zip(rows, INPUT, strict=True):
            lines.append(f"{row} = {op}({source}_{axis}{a}, {source}_{axis}{b})")
        return rows

    def given(parts: list[str], name: str) -> list[str]:
        for number, ((op, a, b), then, c) in enumerate(OUTPUT):
            lines.append(f"{name}t{number} = {op}({parts[a]}, {parts[b]})")
            lines.append(f"{name}{number} = {then}({name}t{number}, {parts[c]})")
        return [f"{name}0", f"{name}1"]

    parts = [part for row in taken("p", 2) for part in taken(row, 3)]
    products = [f"m{number}" for number in range(16)]
    lines.append(f"v = Concat<axis = 0>({', '.join(parts)}) vt = Reshape(v, tiles) m = MatMul(u, vt)")
    lines.append(f"{', '.join(products)} = Split<axis = 0>(m)")
    columns = [given([products[4 * row + column] for row in range(4)], f"c{column}") for column in range(4)]
    pixels = [one for row in range(2) for one in given([column[row] for column in columns], f"o{row}")]
    lines.append(f"o = Concat<axis = 1>({', '.join(pixels)}) ob = Reshape(o, blocks)")
    lines.append('y = DepthToSpace<blocksize = 2, mode = "DCR">(ob)')
    return model_of(" ".join(lines), weight.shape, size, weights)


def model_of(body: str, shape: tuple[int, ...], size: int, weights: dict[str, np.ndarray]) -> onnx.ModelProto:
    """A model with one picture in and one out."""
    kinds = [f"float[1, {count}, {size}, {size}]" for count in (shape[1], shape[0])]
    text = f'<ir_version: 8, opset_import: ["" : 17]> g ({kinds[0]} x) => ({kinds[1]} y) {{ {body} }}'
    model: onnx.ModelProto = onnx.parser.parse_model(text)
    model.graph.initializer.extend(numpy_helper.from_array(array, name) for name, array in weights.items())
    return model


if __name__ == "__main__":
    main()
