"""From a file to a model in memory, or one clear line that says why not."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path

import onnx
import onnx_ir as ir
from google.protobuf.message import DecodeError

from ncgopt.errors import InputUnreadable, ModelInvalid
from ncgopt.model import files
from ncgopt.model.external import DataFolder
from ncgopt.model.read import Reader
from ncgopt.model.repair import repair
from ncgopt.model.tensors import TensorReader
from ncgopt.report import Repair

_LFS = b"version https://git-lfs"


@dataclass(frozen=True)
class Loaded:
    """A model and how it was found.

    Attributes:
        path: the file as given, made absolute; None for a model that came from memory.
        model: the model; `node.version` is set on every node.
        repairs: what ONNX Runtime tolerates and was put right.
        external: whether the file had external data.
        file_bytes: bytes on disk, external data included (what of them the model uses).
    """

    path: Path | None
    model: ir.Model
    repairs: list[Repair]
    external: bool
    file_bytes: int


def load(path: str | os.PathLike[str], *, trust_links: bool = False) -> Loaded:
    """Read the model at `path`; weights in external data stay on disk until they are needed.

    External data are looked up in the folder of the path as given: a link to a model in another
    folder (Hugging Face's cache) finds its data beside the link.

    Args:
        path: an ONNX file.
        trust_links: accept external data behind symbolic links that leave the folder.

    Raises:
        InputUnreadable: no such file, no ONNX file, or external data missing, cut short or refused.
        ModelInvalid: an ONNX file whose content contradicts itself.
    """
    file = Path(os.path.abspath(path))
    proto = _parse(file)
    folder = DataFolder(file.parent, trust_links=trust_links)
    return _read(proto, folder, file, file.stat().st_size)


def from_proto(
    proto: onnx.ModelProto,
    *,
    base_dir: str | os.PathLike[str] | None = None,
    trust_links: bool = False,
    written_here: bool = False,
    copy: bool = True,
) -> Loaded:
    """The model of a message, read as `load` reads a file.

    Args:
        proto: the model.
        base_dir: folder of its external data; needed where it has any.
        trust_links: as for `load`.
        written_here: the message comes from `to_proto`, whose absolute locations may be trusted.
        copy: read a copy; otherwise `proto` belongs to the result and must not be used any more.

    Raises:
        InputUnreadable: external data missing, cut short or refused.
        ModelInvalid: the content contradicts itself.
    """
    if copy:
        original, proto = proto, onnx.ModelProto()
        proto.CopyFrom(original)
    folder = None
    if base_dir is not None or written_here:
        folder = DataFolder(
            Path(os.path.abspath(base_dir or ".")), trust_links=trust_links or written_here, absolute=written_here
        )
    return _read(proto, folder, None, 0)


def _read(proto: onnx.ModelProto, folder: DataFolder | None, path: Path | None, file_bytes: int) -> Loaded:
    name = f"{path}: " if path is not None else ""
    try:
        repairs = repair(proto)
        tensors = TensorReader(folder)
        model = Reader(tensors).model(proto)
    except ModelInvalid as error:
        raise ModelInvalid(f"{name}{error}") from error
    except InputUnreadable as error:
        raise InputUnreadable(f"{name}{error}") from error
    data = sum(size for _, size in folder.sizes.values()) if folder is not None else 0
    return Loaded(path, model, repairs, tensors.external, file_bytes + data)


def _parse(path: Path) -> onnx.ModelProto:
    """The file's message, refusing everything that only happens to parse."""
    try:
        if path.is_dir():
            raise InputUnreadable(f"{path} is a directory, not an ONNX file")
        with path.open("rb") as file:
            start = file.read(len(_LFS))
        if not start:
            raise InputUnreadable(f"{path} is empty")
        if start == _LFS:
            raise InputUnreadable(f"{path} is a Git LFS pointer, not the model itself; run `git lfs pull` first")
        proto = files.parse(path)
    except OSError as error:
        raise InputUnreadable(f"{path} cannot be read: {error.strerror or error}") from error
    except DecodeError as error:
        raise InputUnreadable(f"{path} is truncated or no ONNX file") from error
    if not proto.HasField("graph") or not proto.HasField("ir_version"):
        raise InputUnreadable(f"{path} is truncated or no ONNX file: it holds no graph or no IR version")
    return proto
