"""What `check` found before, in the user's cache folder.

An entry is found by all that its findings depend on: the bytes of the model, the settings, our own code, and the
versions of what we build on. It is written beside its place and renamed, so that any number of processes may use
the folder at once; an entry that cannot be read, or is none, counts as missing. The oldest go where there are too many.
"""

from __future__ import annotations

import contextlib
import hashlib
import importlib.util
import json
import os
import secrets
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import cast

_MAX_ENTRIES = 1000
_MAX_BYTES = 1 << 18  # of an entry: a model with more to say is worth another look
_CHUNK = 1 << 20
_BUILT_ON = ("onnx", "onnx_ir", "onnxruntime", "numpy")


def folder() -> Path:
    """Where entries lie: what the platform calls the user's cache folder."""
    named = os.environ.get("XDG_CACHE_HOME")
    if named:
        base = Path(named)
    elif sys.platform == "win32":
        base = Path(os.environ.get("LOCALAPPDATA") or Path.home() / "AppData" / "Local")
    elif sys.platform == "darwin":
        base = Path.home() / "Library" / "Caches"
    else:
        base = Path.home() / ".cache"
    return base / "ncgopt" / "check"


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
    path = folder() / f"{key}.json"
    try:
        found: object = json.loads(path.read_text(encoding="utf-8"))
        os.utime(path)  # what is used stays
    except (OSError, ValueError):
        return None
    if not isinstance(found, list) or not all(isinstance(one, dict) for one in cast("list[object]", found)):
        return None
    return cast("list[dict[str, object]]", found)


def note(key: str, findings: list[dict[str, object]]) -> None:
    """Note `findings` under `key`; a folder that cannot be written to costs time, nothing else."""
    text = json.dumps(findings)
    if len(text) > _MAX_BYTES:
        return
    with contextlib.suppress(OSError):
        place = folder()
        place.mkdir(parents=True, exist_ok=True)
        beside = place / f"{secrets.token_hex(8)}.tmp"
        beside.write_text(text, encoding="utf-8")
        beside.replace(place / f"{key}.json")
        _shrink(place)


def _shrink(place: Path) -> None:
    """Remove the entries that were used longest ago, a quarter at a time; others may be doing the same."""
    with os.scandir(place) as entries:
        paths = [entry.path for entry in entries]
    if len(paths) <= _MAX_ENTRIES:
        return
    ages: list[tuple[float, str]] = []
    for path in paths:
        with contextlib.suppress(OSError):
            ages.append((os.stat(path).st_mtime, path))
    for _, path in sorted(ages)[: len(paths) - _MAX_ENTRIES * 3 // 4]:
        with contextlib.suppress(OSError):
            os.unlink(path)


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
