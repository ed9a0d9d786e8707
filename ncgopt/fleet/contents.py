"""What a result depends on: the bytes of the model, of its external data and of the user's files, settings and code."""

from __future__ import annotations

import dataclasses
import errno
import functools
import hashlib
import mmap
import sys
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING

from ncgopt import plugins
from ncgopt.settings import Settings

if TYPE_CHECKING:
    import onnx

_CHUNK = 1 << 20
_BUILT_ON = ("onnx", "onnx-ir", "onnxruntime", "onnxsim", "numpy", "protobuf")
_EXTERNAL = b"location"  # the key without which no tensor has its data elsewhere


def key_of(model: Path, settings: Settings) -> str | None:
    """A name for everything that the result of `model` under `settings` depends on; None where it cannot be read.

    How many jobs there are, and where, is not part of it: the results are the same.
    """
    digest = hashlib.sha256(f"{_code()}\n{_text_of(settings)}\n".encode())
    try:
        mine = [model, *(model.parent / name for name in data_files(model))]
        for path in (*mine, *settings.verification.feeds, *settings.verification.custom_ops):
            digest.update(f"{path.name}\0{path.stat().st_size}\0".encode())
            for chunk in _chunks(path):
                digest.update(chunk)
    except (OSError, ValueError):
        return None  # what is wrong with it, loading says
    return digest.hexdigest()


def data_files(model: Path) -> list[str]:
    """Where a model's external data lie, relative to its folder, in order of first use.

    Raises:
        OSError: the file cannot be read.
        ValueError: it is empty, or no ONNX model.
    """
    with model.open("rb") as file, mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as content:
        if content.find(_EXTERNAL) < 0:
            return []  # without importing onnx
    from google.protobuf.message import DecodeError

    from ncgopt.model import wire

    try:
        proto, _ = wire.parse(model)
    except DecodeError as error:
        raise ValueError(str(error)) from error
    found = [*_locations(proto.graph)]
    for function in proto.functions:
        found += _of_nodes(function.node)
    return list(dict.fromkeys(found))


def sha256_of(path: Path) -> str:
    """Of a whole file, in hexadecimal."""
    digest = hashlib.sha256()
    for chunk in _chunks(path):
        digest.update(chunk)
    return digest.hexdigest()


def _locations(graph: onnx.GraphProto) -> Iterator[str]:
    tensors = [*graph.initializer]
    for sparse in graph.sparse_initializer:
        tensors += [sparse.values, sparse.indices]
    yield from _of_tensors(tensors)
    yield from _of_nodes(graph.node)


def _of_nodes(nodes: Iterable[onnx.NodeProto]) -> Iterator[str]:
    for node in nodes:
        for attribute in node.attribute:
            sparse = [attribute.sparse_tensor, *attribute.sparse_tensors]
            parts = [part for one in sparse for part in (one.values, one.indices)]
            yield from _of_tensors([attribute.t, *attribute.tensors, *parts])
            if attribute.HasField("g"):
                yield from _locations(attribute.g)
            for graph in attribute.graphs:
                yield from _locations(graph)


def _of_tensors(tensors: Iterable[onnx.TensorProto]) -> Iterator[str]:
    for tensor in tensors:
        yield from (entry.value for entry in tensor.external_data if entry.key == "location")


def _chunks(path: Path) -> Iterator[bytes]:
    if not path.is_file():
        raise OSError(errno.EINVAL, "no regular file", str(path))  # a pipe or a device may never end
    with path.open("rb") as file:
        while chunk := file.read(_CHUNK):
            yield chunk


def _text_of(settings: Settings) -> str:
    """Settings without where the user's files lie, whose bytes count instead."""
    verification = dataclasses.replace(settings.verification, feeds=(), custom_ops=())
    return repr(dataclasses.replace(settings, verification=verification))


@functools.cache
def _code() -> str:
    """Our own code, and the versions of what results rest on, the same on every machine that has the same."""
    digest = hashlib.sha256()
    root = Path(__file__).parent.parent
    for path in sorted(root.rglob("*.py")):
        digest.update(f"{path.relative_to(root).as_posix()}\0".encode())
        digest.update(path.read_bytes())
    versions = [f"{name} {_version(name)}" for name in _BUILT_ON]
    return "\n".join((digest.hexdigest(), sys.version, *versions, *plugins.state()))


def _version(name: str) -> str:
    from importlib.metadata import PackageNotFoundError, version  # slow, and not needed where nothing is noted

    try:
        return version(name)
    except PackageNotFoundError:
        return ""
