"""What `check` found before, in the user's cache folder.

An entry is found by all that its findings depend on: the bytes of the model, the settings, our own code, and the
versions of what we build on.
"""

from __future__ import annotations

import functools
import hashlib
import importlib.util
import os
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

from ncgopt import cache, plugins

_SUBJECT = "check"
_CHUNK = 1 << 20
_MOST = 10_000  # entries, of about a kilobyte each: a model base of that size is checked as a whole
_BUILT_ON = ("onnx", "onnx_ir", "onnxruntime", "numpy", "onnxsim")


def folder() -> Path:
    """Where entries lie."""
    return cache.folder(_SUBJECT)


def key_of(model: Path, settings: object) -> str | None:
    """The name of the entry for `model` under `settings`; None where the model cannot be read."""
    digest = hashlib.sha256("\n".join((repr(settings), sys.version, *_state(_code))).encode())
    if not model.is_file():
        return None  # a pipe, say
    try:
        with model.open("rb") as file:
            while chunk := file.read(_CHUNK):
                digest.update(chunk)
    except OSError:
        return None  # what is wrong with it, loading says
    return digest.hexdigest()


def look_up(key: str) -> object:
    """What was noted under `key`; None where that is nothing."""
    return cache.look_up(_SUBJECT, key)


def note(key: str, found: dict[str, object]) -> None:
    """Note what was found under `key`; a folder that cannot be written to costs time, nothing else."""
    cache.note(_SUBJECT, key, found, _MOST)


@functools.cache
def _state(code: Callable[[], Iterator[str]]) -> tuple[str, ...]:
    """Looked up once per process: it takes longer than a small model."""
    return tuple(code())


def _code() -> Iterator[str]:
    """The state of our own code and the versions of what findings rest on, without importing anything."""
    for package in ("ncgopt", "ncgopt_cli"):
        for root in _places(package):
            for path, size, changed in sorted(_sources(root)):
                yield f"{path} {size} {changed}"
    yield from plugins.state()
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
