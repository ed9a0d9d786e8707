"""What earlier runs did in a folder of results, so that a run that was cut off goes on where it was.

Beside each result lies a small file below `.ncgopt/`: what the result depends on (`contents.key_of`), which files were
written with which digests, and the report. A result counts as done only where all of that still holds.
"""

from __future__ import annotations

import contextlib
import json
import os
import secrets
from dataclasses import dataclass
from pathlib import Path
from typing import Any, cast

from ncgopt.errors import CannotWrite
from ncgopt.fleet import urls
from ncgopt.fleet.contents import key_of, sha256_of
from ncgopt.fleet.sources import Pair
from ncgopt.report import Report
from ncgopt.settings import Settings

_FOLDER = ".ncgopt"
_SCHEMA = 1


@dataclass(frozen=True)
class Ledger:
    """The notes of one folder of results.

    Attributes:
        folder: path or URL.
        settings: those of this run.
    """

    folder: str
    settings: Settings

    def done_before(self, pair: Pair) -> dict[str, Any] | None:
        """The report of the run that wrote the very same result, where all its files are still there; else None."""
        entry = self._read(pair)
        if entry is None or entry["key"] != self.key(pair.source):
            return None
        files = cast("list[dict[str, Any]]", entry["report"].get("files", []))
        if pair.target is None or not files or not all(_is_there(one, pair.target) for one in files):
            return None
        return entry["report"]

    def key(self, source: str) -> str | None:
        """What the result of a model depends on; None where that cannot be told."""
        if not urls.is_url(source):
            return key_of(Path(source), self.settings)
        return urls.key_of(source, self.settings)

    def note(self, pair: Pair, key: str | None, report: Report) -> None:
        """Note that a result was written.

        Raises:
            CannotWrite: the note cannot be written; the result is there all the same.
        """
        if key is None or pair.target is None:
            return
        entry = {"schema": _SCHEMA, "key": key, "report": json.loads(report.to_json())}
        place, text = self._place(pair), json.dumps(entry)
        if urls.is_url(place):
            urls.write_text(place, text)
            return
        path = Path(place)
        beside = path.with_name(f".ncgopt-{secrets.token_hex(8)}.tmp")
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            beside.write_text(text, encoding="utf-8")
            os.replace(beside, path)
        except OSError as error:
            with contextlib.suppress(OSError):  # where there is no folder, nothing was left in it
                beside.unlink(missing_ok=True)
            raise CannotWrite(f"{path}: {error.strerror}") from error

    def _place(self, pair: Pair) -> str:
        name = f"{_FOLDER}/{pair.name}.json"
        return urls.join(self.folder, name) if urls.is_url(self.folder) else str(Path(self.folder, name))

    def _read(self, pair: Pair) -> dict[str, Any] | None:
        place = self._place(pair)
        try:
            text = urls.read_text(place) if urls.is_url(place) else Path(place).read_text(encoding="utf-8")
            entry: Any = json.loads(text or "")
        except (OSError, ValueError):
            return None
        match entry:
            case {"schema": 1, "key": str(), "report": {"files": [*_]}}:
                return cast("dict[str, Any]", entry)
            case _:
                return None


def _is_there(file: dict[str, Any], target: str) -> bool:
    """Whether a file beside `target` is what was written, wherever the run began. At a URL its size has to do."""
    name = str(file.get("path", "")).replace("\\", "/").rpartition("/")[2]
    if urls.is_url(target):
        return urls.size_of(urls.join(target.rpartition("/")[0], name)) == file.get("bytes")
    path = Path(target).with_name(name)
    try:
        return path.stat().st_size == file.get("bytes") and sha256_of(path) == file.get("sha256")
    except OSError:
        return False
