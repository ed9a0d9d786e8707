"""From a file to a model in memory, or one clear line that says why not."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path

import onnx
import onnx_ir as ir
from google.protobuf.message import DecodeError

from ncgopt.errors import InputUnreadable, ModelInvalid
from ncgopt.model import wire
from ncgopt.model.external import DataFolder
from ncgopt.model.plausible import require_plausible
from ncgopt.model.read import Reader
from ncgopt.model.regular import require_regular
from ncgopt.model.repair import repair
from ncgopt.model.tensor_reader import TensorReader
from ncgopt.model.wire import Places
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


def load(path: str | os.PathLike[str], *, trust_links: bool = False, in_memory: bool = False) -> Loaded:
    """Read the model at `path`; large weights stay on disk until they are needed.

    The files must stay as they are as long as the model is used, or reading a weight raises
    InputUnreadable; renaming another file over them is fine once the weights were written elsewhere.

    External data are looked up in the folder of the path as given: a link to a model in another
    folder (Hugging Face's cache) finds its data beside the link.

    Args:
        path: an ONNX file.
        trust_links: accept external data behind symbolic links that leave the folder.
        in_memory: read all weights now; the files may then go away.

    Raises:
        InputUnreadable: no such file, no ONNX file, or external data missing, cut short or refused.
        ModelInvalid: an ONNX file whose content contradicts itself.
    """
    file = Path(os.path.abspath(path))
    folder = DataFolder(file.parent, trust_links=trust_links)
    proto, places = _parse(file)
    loaded = _read(proto, TensorReader(folder, places, in_memory), file)
    if not places.complete:  # large data where nobody looks for tensors
        proto, places = _parse(file, whole=True)
        loaded = _read(proto, TensorReader(folder, places, in_memory), file)
    return loaded


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
    return _read(proto, TensorReader(folder), None)


def _read(proto: onnx.ModelProto, tensors: TensorReader, path: Path | None) -> Loaded:
    name = f"{path}: " if path is not None else ""
    try:
        require_plausible(proto)
        repairs = repair(proto)
        model = Reader(tensors).model(proto)
    except ModelInvalid as error:
        raise ModelInvalid(f"{name}{error}") from error
    except InputUnreadable as error:
        raise InputUnreadable(f"{name}{error}") from error
    except RecursionError:
        raise ModelInvalid(f"{name}nested too deeply") from None
    data = sum(size for _, size in tensors.folder.sizes.values()) if tensors.folder is not None else 0
    return Loaded(path, model, repairs, tensors.external, data + (path.stat().st_size if path is not None else 0))


def _parse(path: Path, *, whole: bool = False) -> tuple[onnx.ModelProto, Places]:
    """The file's message, large weights left out unless `whole`, refusing everything that only happens to parse."""
    try:
        require_regular(path)
        with path.open("rb") as file:
            start = file.read(len(_LFS))
        if not start:
            raise InputUnreadable(f"{path} is empty")
        if start == _LFS:
            raise InputUnreadable(f"{path} is a Git LFS pointer, not the model itself; run `git lfs pull` first")
        proto, places = wire.parse(path, whole=whole)
    except OSError as error:
        raise InputUnreadable(f"{path} cannot be read: {error.strerror or error}") from error
    except DecodeError as error:
        raise InputUnreadable(f"{path} is truncated or no ONNX file") from error
    except RecursionError:
        raise InputUnreadable(f"{path} is nested too deeply, or no ONNX file") from None
    if not proto.HasField("graph") or not proto.HasField("ir_version"):
        raise InputUnreadable(f"{path} is truncated or no ONNX file: it holds no graph or no IR version")
    return proto, places
