"""Bytes that are no message."""

from __future__ import annotations

import gzip
import random
from pathlib import Path

import numpy as np
import onnx
from onnx import helper

from hostile.parts import Table, block, model, tag, varint

TABLE = Table()
add = TABLE.add


def _good() -> bytes:
    weight = onnx.numpy_helper.from_array(np.ones((4, 4), np.float32), "w")
    return model([helper.make_node("MatMul", ["x", "w"], ["y"])], [weight]).SerializeToString()


@add("empty", 66, "is empty")
def _(folder: Path) -> bytes:
    """No bytes."""
    return b""


@add("text", 66, "no ONNX file")
def _(folder: Path) -> bytes:
    """Text."""
    return b"This is not a model.\n" * 100


@add("compressed", 66, "no ONNX file")
def _(folder: Path) -> bytes:
    """A model, compressed."""
    return gzip.compress(_good())


@add("half", 66, "truncated")
def _(folder: Path) -> bytes:
    """The first half of a model."""
    return _good()[: len(_good()) // 2]


@add("all-but-one", 66, "truncated")
def _(folder: Path) -> bytes:
    """All but the last byte."""
    return _good()[:-1]


@add("random", 66, "no ONNX file")
def _(folder: Path) -> bytes:
    """Noise."""
    return random.Random(7).randbytes(1 << 16)


@add("zeros", 66, "no ONNX file")
def _(folder: Path) -> bytes:
    """A megabyte of zeros."""
    return bytes(1 << 20)


@add("flipped-bits", (0, 2, 3, 5, 66), "")
def _(folder: Path) -> bytes:
    """A model in which every fortieth byte is another; whatever that makes of it."""
    data = bytearray(_good())
    for k in range(7, len(data), 40):
        data[k] ^= 0x15
    return bytes(data)


@add("length-huge", 66, "")
def _(folder: Path) -> bytes:
    """A graph that claims to be four exabytes long."""
    return b"\x08\x0a" + tag(7, 2) + varint(1 << 62) + _good()


@add("length-endless", 66, "")
def _(folder: Path) -> bytes:
    """A length of more than ten bytes."""
    return b"\x08\x0a" + tag(7, 2) + b"\xff" * 1000


@add("groups-nested", 66, "")
def _(folder: Path) -> bytes:
    """A hundred thousand groups, each beginning in the one before."""
    return b"\x08\x0a" + tag(99, 3) * 100_000


@add("messages-nested", 66, "")
def _(folder: Path) -> bytes:
    """Five thousand types of sequences of sequences, in an input."""
    inner = block(1, tag(1, 0) + varint(1))
    for _ in range(5000):
        inner = block(4, block(1, inner))
    graph = block(11, block(1, b"x") + block(2, inner)) + block(12, block(1, b"x"))
    return b"\x08\x0a" + block(8, tag(2, 0) + varint(21)) + block(7, graph)


@add("wire-types-wrong", (2, 66), "")
def _(folder: Path) -> bytes:
    """The graph as a number, the version as text."""
    return block(1, b"ten") + tag(7, 0) + varint(3)


@add("graph-many-times", (2, 5, 66), "")
def _(folder: Path) -> bytes:
    """The same graph a thousand times over, which protobuf's rules merge into one."""
    return _good() * 1000


@add("dims-packed", 2, "dimensions")
def _(folder: Path) -> bytes:
    """A weight of a million dimensions."""
    tensor = block(1, b"\x01" * 1_000_000) + tag(2, 0) + varint(1) + block(8, b"w") + block(9, bytes(4))
    graph = block(5, tensor) + block(12, block(1, b"w"))
    return b"\x08\x0a" + block(8, tag(2, 0) + varint(21)) + block(7, graph)
