"""From a model in memory to a file: complete or not at all, and nothing lost on the way."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

import onnx
import onnx_ir as ir

from ncgopt.errors import CannotWrite
from ncgopt.model import files, messages
from ncgopt.model.layout import Layout, data_files
from ncgopt.model.stats import tensor_bytes
from ncgopt.model.tensors import SparseTensor, pieces, write_header, write_tensor
from ncgopt.model.wire import LARGEST_FILE, varint
from ncgopt.model.write import Writer
from ncgopt.settings import ExternalData

_STREAMED_FROM = 1 << 16
_GRAPH, _INITIALIZER, _RAW_DATA = (
    onnx.ModelProto.GRAPH_FIELD_NUMBER,
    onnx.GraphProto.INITIALIZER_FIELD_NUMBER,
    onnx.TensorProto.RAW_DATA_FIELD_NUMBER,
)


@dataclass(frozen=True)
class SavedFiles:
    """What was written.

    Attributes:
        paths: the .onnx file and, if there is one, its data file.
        bytes: bytes of these files.
        left_over: data files of the replaced model that nobody uses any more, but that could not be removed.
    """

    paths: tuple[Path, ...]
    bytes: int
    left_over: tuple[Path, ...] = ()


def save(
    model: ir.Model,
    path: str | os.PathLike[str],
    *,
    external_data: ExternalData = "auto",
    input_external: bool = False,
    replaces: Path | None = None,
) -> SavedFiles:
    """Write the model to `path`; on any failure everything is as it was before.

    New weights are written first, under a name that nothing refers to yet; then the .onnx file takes
    its place by a rename; last, data files that only the replaced .onnx file used are removed. If
    `path` is a symbolic link, the link is replaced and what it points to stays as it is. The model in
    memory stays usable unless its own data files were replaced.

    The data file is called like the model with `.data` behind it, or `.HASH.data` where that is taken;
    if the data file of the replaced model has the very content, it stays and keeps its name. The same
    model therefore gives the same bytes every time.

    Args:
        model: the model.
        path: file to write; a file there is replaced.
        external_data: `always` puts weights into a file of their own, `never` into the .onnx file,
            `auto` follows `input_external` unless the model would exceed 2 GiB.
        input_external: whether the model had external data when it was read.
        replaces: the file that the model was read from if it is saved in place; otherwise files that
            the model's tensors lie in are never removed.

    Raises:
        CannotWrite: the folder is missing, full or read-only, `path` is no regular file, or the model
            is too large for `never`.
    """
    target = Path(os.path.abspath(path))
    if not target.parent.is_dir():
        raise CannotWrite(f"{target} cannot be written: the folder {target.parent} does not exist")
    if target.exists() and not target.is_file():
        raise CannotWrite(f"{target} is no regular file and cannot be replaced")
    try:
        layout = _choose_layout(model, target, external_data, input_external=input_external)
        return _save(model, target, layout, in_place=replaces is not None and Path(os.path.abspath(replaces)) == target)
    except OSError as error:
        read = f" ({error.filename})" if error.filename in data_files(model) else ""
        raise CannotWrite(f"{target} cannot be written: {error.strerror or error}{read}") from error


def _choose_layout(model: ir.Model, target: Path, external_data: ExternalData, *, input_external: bool) -> Layout:
    if external_data == "always" or (external_data == "auto" and input_external):
        return Layout.of(model)
    size = sum(
        tensor_bytes(value.const_value) + len(value.name or "") + 64
        for value in model.graph.initializers.values()
        if value.const_value is not None
    )
    size += Writer(_size_only, initializers=False).model(model).ByteSize()
    if size <= LARGEST_FILE:
        return Layout()
    if external_data == "never":
        raise CannotWrite(f"{target} would have {size} bytes, more than the 2 GiB that one file can hold")
    return Layout.of(model)


def _save(model: ir.Model, target: Path, layout: Layout, *, in_place: bool) -> SavedFiles:
    folder = target.parent
    old = files.data_locations(target)
    created: Path | None = None
    data: Path | None = None
    try:
        if layout.size:
            data, created = _write_data(layout, target, old)
        name = data.name if data is not None else ""
        with files.temporary(target) as (temporary, file):
            _write_model(model, layout, name, file)
        try:
            os.replace(temporary, target)
        except BaseException:
            temporary.unlink(missing_ok=True)
            raise
    except BaseException:
        if created is not None:
            created.unlink(missing_ok=True)
        raise
    files.sync_folder(folder)
    paths = (target,) if data is None else (target, data)
    kept = [Path(path) for path in data_files(model)] if not in_place else []
    left_over = files.remove_unused(folder, old, target, [*kept, *paths])
    return SavedFiles(paths, sum(path.stat().st_size for path in paths), left_over)


def _write_data(layout: Layout, target: Path, old: tuple[str, ...]) -> tuple[Path, Path | None]:
    """Write the data file; returns its path, and again if it was not there before."""
    with files.temporary(target) as (temporary, file):
        digest = layout.write(file)
    try:
        reusable = [target.parent / location for location in old if location == Path(location).name]
        named = target.parent / f"{target.name}.{digest[:12]}.data"
        for path in [*reusable, named]:
            if files.same_content(temporary, path):
                temporary.unlink()
                return path, None
        free = [target.parent / f"{target.name}.data", named, target.parent / f"{target.name}.{digest}.data"]
        path = next(path for path in free if path == free[-1] or not os.path.lexists(path))
        os.replace(temporary, path)
    except BaseException:
        temporary.unlink(missing_ok=True)
        raise
    files.sync_folder(target.parent)
    return path, path


def _write_model(model: ir.Model, layout: Layout, location: str, file: BinaryIO) -> None:
    """Write the .onnx file, one initializer at a time.

    A message may be written in parts: fields in any order, repeated ones wherever they occur
    (protobuf encoding specification), so the graph can end with its initializers. Only their sizes
    must be known before.
    """
    writer = Writer(lambda tensor: layout.message(tensor, location), initializers=False)
    proto = writer.model(model)
    graph = proto.graph.SerializeToString(deterministic=True)
    parts = [_initializer(value, layout, location) for value in _dense(model)]
    size = len(graph) + sum(len(head) + length for head, length, _ in parts)
    proto.ClearField("graph")
    file.write(proto.SerializeToString(deterministic=True))
    file.write(messages.tag(_GRAPH) + varint(size))
    file.write(graph)
    for head, _, body in parts:
        file.write(head)
        for chunk in body():
            file.write(chunk)


def _dense(model: ir.Model) -> list[ir.Value]:
    return [v for v in model.graph.initializers.values() if not isinstance(v.const_value, SparseTensor)]


def _initializer(
    value: ir.Value, layout: Layout, location: str
) -> tuple[bytes, int, Callable[[], Iterator[bytes | memoryview]]]:
    """The head of an initializer in the graph's message, the bytes that follow it, and these."""
    tensor = value.const_value
    if tensor is None:
        raise ValueError(f"initializer {value.name!r} has no tensor")
    name = value.name or ""
    if tensor in layout or not _has_raw_bytes(tensor):
        proto = layout.message(tensor, location)
        proto.name = name
        encoded = proto.SerializeToString(deterministic=True)
        return messages.tag(_INITIALIZER) + varint(len(encoded)), len(encoded), lambda: iter([encoded])
    header = write_header(tensor)
    header.name = name
    length = tensor_bytes(tensor)
    encoded = header.SerializeToString(deterministic=True) + messages.tag(_RAW_DATA) + varint(length)
    head = messages.tag(_INITIALIZER) + varint(len(encoded) + length) + encoded
    return head, length, lambda: pieces(tensor)


def _has_raw_bytes(tensor: ir.TensorProtocol) -> bool:
    """Whether the tensor is large, and its message would hold its elements as raw bytes."""
    if isinstance(tensor, ir.TensorProtoTensor) and not tensor.raw.HasField("raw_data"):
        return False
    return tensor.dtype != ir.DataType.STRING and tensor_bytes(tensor) >= _STREAMED_FROM


def _size_only(tensor: ir.TensorProtocol) -> onnx.TensorProto:
    return write_tensor(tensor, embed=True)
