"""Files that are there completely or not at all, and the data files that belong to a model."""

from __future__ import annotations

import contextlib
import os
import secrets
import stat
from collections.abc import Generator, Iterable, Iterator
from pathlib import Path, PurePosixPath
from typing import BinaryIO

import onnx
from google.protobuf.message import DecodeError, Message

from ncgopt.model import wire
from ncgopt.runtime.leftovers import hold, sweep_files

_CHUNK = 1 << 24


@contextlib.contextmanager
def temporary(beside: Path) -> Generator[tuple[Path, BinaryIO]]:
    """A new file in the folder of `beside`, flushed to disk at the end and then closed.

    Whoever opened it renames it; what is left of it at the end of an error is removed. Its mode is
    that of `beside` if that exists, otherwise what the process's umask leaves of rw-rw-rw-. What a killed
    run left in the folder is removed first.

    Raises:
        OSError: the file cannot be created or written.
    """
    sweep_files(beside.parent)
    path, descriptor = _create(beside.parent)
    try:
        with os.fdopen(descriptor, "w+b") as file:
            if beside.exists():
                os.chmod(path, stat.S_IMODE(beside.stat().st_mode))
            yield path, file
            file.flush()
            os.fsync(file.fileno())
    except BaseException:
        path.unlink(missing_ok=True)
        raise


def _create(folder: Path) -> tuple[Path, int]:
    """A new file that is held, so that no other run takes it for left over."""
    flags = os.O_RDWR | os.O_CREAT | os.O_EXCL | getattr(os, "O_BINARY", 0) | getattr(os, "O_NOFOLLOW", 0)
    while True:
        path = folder / f".ncgopt-{secrets.token_hex(8)}.tmp"
        descriptor = os.open(path, flags, 0o666)
        if hold(descriptor):
            return path, descriptor
        os.close(descriptor)  # another run swept it in the moment before it was held


def sync_folder(folder: Path) -> None:
    """Make renames in `folder` outlive a power failure, where the system can do that for folders.

    Windows cannot, nor can some network file systems: they refuse, and the rename itself is done.
    """
    with contextlib.suppress(OSError):
        descriptor = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)


def same_content(a: Path, b: Path) -> bool:
    """Whether two files are equal byte by byte; False if one of them is no regular file."""
    if not (a.is_file() and b.is_file()) or a.stat().st_size != b.stat().st_size:
        return False
    with a.open("rb") as left, b.open("rb") as right:
        while chunk := left.read(_CHUNK):
            if chunk != right.read(_CHUNK):
                return False
    return True


def data_locations(model: Path) -> tuple[str, ...]:
    """Locations of external data that the .onnx file `model` names; empty for anything else."""
    try:
        return _locations_of(model) if model.is_file() else ()
    except DecodeError:
        return ()


def remove_unused(folder: Path, locations: Iterable[str], replaced: Path, keep: Iterable[Path]) -> tuple[Path, ...]:
    """Remove data files that only the replaced model used; returns those that could not be removed.

    Only files inside of `folder` are touched, none of `keep`, and none that another .onnx file beside
    them or in `folder` names, or may name: one that cannot be read.
    """
    kept = {os.path.abspath(path) for path in keep}
    failed: list[Path] = []
    for location in locations:
        relative = PurePosixPath(location)
        path = folder / relative
        if relative.is_absolute() or ".." in relative.parts or os.path.abspath(path) in kept or not path.is_file():
            continue
        others = {other for place in (folder, path.parent) for other in place.glob("*.onnx") if other != replaced}
        if any(_may_use(other, relative.name) for other in others):
            continue
        try:
            path.unlink()
        except OSError:
            failed.append(path)
    return tuple(failed)


def _may_use(model: Path, name: str) -> bool:
    """Whether the model has external data in a file of that name; True where nobody can tell."""
    try:
        return any(PurePosixPath(location).name == name for location in _locations_of(model))
    except (OSError, DecodeError):
        return True


def _locations_of(model: Path) -> tuple[str, ...]:
    if model.stat().st_size == 0:
        return ()
    proto, _ = wire.parse(model)
    return tuple(dict.fromkeys(_locations(proto)))


def _locations(message: Message) -> Iterator[str]:
    """Locations in all tensors of a message, wherever they are."""
    if isinstance(message, onnx.TensorProto):
        if message.data_location == onnx.TensorProto.EXTERNAL:
            yield from (entry.value for entry in message.external_data if entry.key == "location")
        return
    for field, value in message.ListFields():
        if field.message_type is None:
            continue
        for item in [value] if isinstance(value, Message) else value:
            yield from _locations(item)
