"""Small things found out before, in the user's cache folder: one JSON file each, one folder per subject.

An entry is written beside its place and renamed, so that any number of processes may use the folder at once; one
that cannot be read, or is none, counts as missing. The entries used longest ago go where there are too many.
"""

from __future__ import annotations

import contextlib
import json
import os
import secrets
import sys
from pathlib import Path

_MAX_ENTRIES = 1000
_MAX_BYTES = 1 << 18  # of an entry: what takes more is worth finding out again


def folder(subject: str) -> Path:
    """Where entries lie: below what the platform calls the user's cache folder."""
    named = os.environ.get("XDG_CACHE_HOME")
    if named:
        base = Path(named)
    elif sys.platform == "win32":
        base = Path(os.environ.get("LOCALAPPDATA") or Path.home() / "AppData" / "Local")
    elif sys.platform == "darwin":
        base = Path.home() / "Library" / "Caches"
    else:
        base = Path.home() / ".cache"
    return base / "ncgopt" / subject


def look_up(subject: str, key: str) -> object:
    """What was noted under `key`; None where that is nothing, or cannot be read."""
    path = folder(subject) / f"{key}.json"
    try:
        found: object = json.loads(path.read_text(encoding="utf-8"))
        os.utime(path)  # what is used stays
    except (OSError, ValueError):
        return None
    return found


def note(subject: str, key: str, value: object, limit: int | None = None) -> None:
    """Note `value` under `key`; a folder that cannot be written to costs time, nothing else.

    Args:
        subject: name of the folder.
        key: fit for a file name.
        value: what JSON can hold.
        limit: entries of this subject that are kept; a thousand where nothing is said.
    """
    text = json.dumps(value)
    if len(text) > _MAX_BYTES:
        return
    with contextlib.suppress(OSError):
        place = folder(subject)
        place.mkdir(parents=True, exist_ok=True)
        beside = place / f"{secrets.token_hex(8)}.tmp"
        beside.write_text(text, encoding="utf-8")
        beside.replace(place / f"{key}.json")
        _shrink(place, limit or _MAX_ENTRIES)


def _shrink(place: Path, limit: int) -> None:
    """Remove the entries that were used longest ago, a quarter at a time; others may be doing the same."""
    with os.scandir(place) as entries:
        paths = [entry.path for entry in entries]
    if len(paths) <= limit:
        return
    ages: list[tuple[float, str]] = []
    for path in paths:
        with contextlib.suppress(OSError):
            ages.append((os.stat(path).st_mtime, path))
    for _, path in sorted(ages)[: len(paths) - limit * 3 // 4]:
        with contextlib.suppress(OSError):
            os.unlink(path)
