"""What `check` found before, in the user's cache folder.

An entry is found by all that its findings depend on: the bytes of the model, the settings, our own code, and the
versions of what we build on.
"""

from __future__ import annotations

import hashlib
import importlib.util
import os
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import cast

from ncgopt import cache

_SUBJECT = "check"
_CHUNK = 1 << 20
_BUILT_ON = ("onnx", "onnx_ir", "onnxruntime", "numpy")


def folder() -> Path:
    """Where entries lie."""
    return cache.folder(_SUBJECT)


def key_of(model: Path, settings: object) -> str | None:
    """The name of the entry for `model` under `settings`; None where the model cannot be read."""
    digest = hashlib.sha256("\n".join((repr(settings), sys.version, *_code())).encode())
    if not model.is_file():
        return None  # a pipe, say
    try:
        with model.open("rb") as file:
            while chunk := file.read(_CHUNK):
                digest.update(chunk)
    except OSError:
        return None  # what is wrong with it, loading says
    return digest.hexdigest()


def look_up(key: str) -> list[dict[str, object]] | None:
    """The findings noted under `key`; None where there are none, or nothing that makes sense."""
    found = cache.look_up(_SUBJECT, key)
    if not isinstance(found, list) or not all(isinstance(one, dict) for one in cast("list[object]", found)):
        return None
    return cast("list[dict[str, object]]", found)


def note(key: str, findings: list[dict[str, object]]) -> None:
    """Note `findings` under `key`; a folder that cannot be written to costs time, nothing else."""
    cache.note(_SUBJECT, key, findings)


def _code() -> Iterator[str]:
    """The state of our own code and the versions of what findings rest on, without importing anything."""
    for package in ("ncgopt", "ncgopt_cli"):
        for root in _places(package):
            for path, size, changed in sorted(_sources(root)):
                yield f"{path} {size} {changed}"
    for package in _BUILT_ON:
        for root in _places(package):
            beside = os.path.dirname(root)
            yield from sorted(name for name in os.listdir(beside) if name.startswith(f"{package}-"))


def _places(package: str) -> list[str]:
    spec = importlib.util.find_spec(package)
    return list(spec.submodule_search_locations or ()) if spec is not None else []


def _sources(root: str) -> Iterator[tuple[str, int, int]]:
    with os.scandir(root) as entries:
        for entry in entries:
            if entry.name.endswith(".py"):
                status = entry.stat()
                yield entry.path, status.st_size, status.st_mtime_ns
            elif "." not in entry.name and entry.name != "__pycache__" and entry.is_dir():
                yield from _sources(entry.path)
