"""Models that lie elsewhere: whatever fsspec has a driver for (`s3://`, `gs://`, `abfs://`, `hdfs://`, ...).

A model is copied into a folder of this machine, done there, and its result is copied back: under another name first,
and renamed when it is complete, data files before the model that refers to them. Nobody ever sees half of one.
"""

from __future__ import annotations

import importlib
import posixpath
import re
import secrets
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from ncgopt.errors import CannotWrite, InputUnreadable, Unavailable, Usage
from ncgopt.settings import Settings

_URL = re.compile(r"[A-Za-z][A-Za-z0-9+.-]+://")


def is_url(text: str) -> bool:
    """Whether this is a URL; a Windows drive is none."""
    return bool(_URL.match(text))


def join(folder: str, name: str) -> str:
    """A name below a folder."""
    return f"{folder.rstrip('/')}/{name}"


def models_at(url: str) -> Iterator[tuple[str, str]]:
    """URL and relative name of every `*.onnx` below a folder; of a file, itself.

    Raises:
        InputUnreadable: it cannot be listed.
        Unavailable: fsspec, or its driver, is not installed.
    """
    files, root = _open(url)
    try:
        if not files.isdir(root):
            yield url, posixpath.basename(root)
            return
        found = sorted(files.find(root))
    except Exception as error:  # every driver has exceptions of its own
        raise InputUnreadable(f"{url} cannot be listed: {_reason(error)}") from error
    for path in found:
        inside = posixpath.relpath(path, root.rstrip("/"))
        if inside.endswith(".onnx") and not any(part.startswith(".") for part in inside.split("/")):
            yield join(url, inside), inside


def fetch(url: str, folder: Path) -> Path:
    """Copy a model and its data files into a folder of this machine.

    Raises:
        InputUnreadable: one of them cannot be read, or lies outside of the model's folder.
        Unavailable: fsspec, or its driver, is not installed.
    """
    from ncgopt.fleet.contents import data_files

    files, path = _open(url)
    target = folder / posixpath.basename(path)
    _get(files, path, target, url)
    try:
        names = data_files(target)
    except (OSError, ValueError):
        return target  # what is wrong with it, loading says
    for name in names:
        inside = (folder / name).resolve()
        if not inside.is_relative_to(folder.resolve()):
            raise InputUnreadable(f"{url} has its data at {name!r}, outside of the model's folder: refused")
        inside.parent.mkdir(parents=True, exist_ok=True)
        _get(files, posixpath.join(posixpath.dirname(path), name), inside, url)
    return target


def put(result: Path, others: list[Path], url: str) -> None:
    """Copy a result to `url`, and its other files beside that, each complete before it has its name.

    Raises:
        CannotWrite: that is not possible; the model that was there still is.
        Unavailable: fsspec, or its driver, is not installed.
    """
    files, path = _open(url)
    folder = posixpath.dirname(path)
    try:
        files.makedirs(folder, exist_ok=True)
        for one in (*others, result):
            name = path if one == result else posixpath.join(folder, one.name)
            _replace(files, name, one)
    except Exception as error:  # as above
        raise CannotWrite(f"{url} cannot be written: {_reason(error)}") from error


def key_of(url: str, settings: Settings) -> str | None:
    """As `contents.key_of`, of a copy of the model."""
    from ncgopt.fleet import contents

    with tempfile.TemporaryDirectory(prefix="ncgopt-") as folder:
        try:
            return contents.key_of(fetch(url, Path(folder)), settings)
        except InputUnreadable:
            return None  # which doing it says better


def read_text(url: str) -> str | None:
    """The text of a small file; None where there is none."""
    files, path = _open(url)
    try:
        return files.cat_file(path).decode("utf-8")
    except Exception:  # missing or not readable: the same for who asks
        return None


def write_text(url: str, text: str) -> None:
    """Write a small file, which is complete before it has its name.

    Raises:
        CannotWrite: that is not possible.
    """
    files, path = _open(url)
    try:
        files.makedirs(posixpath.dirname(path), exist_ok=True)
        with tempfile.TemporaryDirectory(prefix="ncgopt-") as scratch:
            file = Path(scratch, "text")
            file.write_text(text, encoding="utf-8")
            _replace(files, path, file)
    except Exception as error:  # as above
        raise CannotWrite(f"{url} cannot be written: {_reason(error)}") from error


def size_of(url: str) -> int | None:
    """Bytes of a file; None where there is none."""
    files, path = _open(url)
    try:
        return int(files.size(path))
    except Exception:  # as above
        return None


def _get(files: Any, path: str, target: Path, url: str) -> None:
    try:
        files.get_file(path, str(target))
    except Exception as error:  # as above
        raise InputUnreadable(f"{url}: {path} cannot be read: {_reason(error)}") from error


def _replace(files: Any, path: str, file: Path) -> None:
    beside = posixpath.join(posixpath.dirname(path), f".ncgopt-{secrets.token_hex(8)}.tmp")
    try:
        files.put_file(str(file), beside)
        files.mv(beside, path)
    except BaseException:
        if files.exists(beside):
            files.rm_file(beside)
        raise


def _open(url: str) -> tuple[Any, str]:
    """The file system of a URL, and the path in it."""
    try:
        core: Any = importlib.import_module("fsspec.core")
    except ImportError:
        raise Unavailable(f"{url}: URLs need fsspec: pip install 'ncgopt[urls]', and the driver of the store") from None
    try:
        files, path = core.url_to_fs(url)
    except ImportError as error:
        raise Unavailable(f"{url}: {_reason(error)}") from error
    except ValueError as error:
        raise Usage(f"{url}: {_reason(error)}") from error
    return files, path


def _reason(error: BaseException) -> str:
    return str(error) or type(error).__name__
