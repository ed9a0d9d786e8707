"""Settings from a TOML file.

The file is the one named explicitly, else the nearest one found upwards from the working directory: in
each folder `ncgopt.toml`, then a `pyproject.toml` that has a `[tool.ncgopt]` table. The search ends at
the first hit, at the root of a repository (a folder with `.git` or `.hg`) or at the root of the file
system. It starts at the working directory and not at the model, because models usually lie in a cache or
a data folder, while the settings belong to the project that works with them.

Keys are the fields of `Settings` in kebab-case (`max-cycles`); `[verification]` holds those of
`VerifySettings`, `[options.PASS]` the options of one pass. Relative paths are relative to the file.
"""

from __future__ import annotations

import dataclasses
import difflib
import enum
import tomllib
import types
import typing
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

from ncgopt.bytesize import ByteSize, parse_size
from ncgopt.errors import InputUnreadable, Usage
from ncgopt.settings import Settings

_FILE = "ncgopt.toml"
_PROJECT = "pyproject.toml"
_REPOSITORY_MARKS = (".git", ".hg")

_T = TypeVar("_T")


@dataclass(frozen=True)
class Configuration:
    """Settings and the file they came from (None: no file, all defaults)."""

    settings: Settings
    path: Path | None


def load(explicit: Path | None = None, start: Path | None = None) -> Configuration:
    """Read the settings file that applies.

    Args:
        explicit: the file to read; without it the search described above.
        start: folder where the search starts, the working directory without it.

    Raises:
        Usage: a key is unknown or a value has the wrong type; names file and key.
        InputUnreadable: the file is missing, unreadable, or no TOML.
    """
    path = explicit if explicit is not None else find(start or Path.cwd())
    if path is None:
        return Configuration(Settings(), None)
    table = _read(path)
    if path.name == _PROJECT:
        table = table.get("tool", {}).get("ncgopt")
        if table is None:
            raise Usage(f"{path}: has no [tool.ncgopt] table")
    return Configuration(_Reader(path).record(Settings, table, ""), path)


def find(start: Path) -> Path | None:
    """The nearest settings file from `start` upwards, or None."""
    start = start.absolute()
    for folder in (start, *start.parents):
        if (folder / _FILE).is_file():
            return folder / _FILE
        project = folder / _PROJECT
        # Most pyproject.toml files are not about us: one that is damaged, or has no table of ours, is
        # only looked at, and complaining about it is somebody else's business.
        if project.is_file() and _has_table(project):
            return project
        if any((folder / mark).exists() for mark in _REPOSITORY_MARKS):
            return None
    return None


def _has_table(project: Path) -> bool:
    try:
        return "ncgopt" in _read(project).get("tool", {})
    except InputUnreadable:
        return False


def _read(path: Path) -> dict[str, Any]:
    try:
        with path.open("rb") as stream:
            return tomllib.load(stream)
    except OSError as error:
        raise InputUnreadable(f"{path}: cannot read settings: {error.strerror}") from error
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise InputUnreadable(f"{path}: is not TOML: {error}") from error


class _Reader:
    """Turns TOML tables into frozen settings, field types being the schema."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def record(self, kind: type[_T], table: object, where: str) -> _T:
        """A dataclass from a table; `where` is the dotted key of the table, for messages."""
        if not isinstance(table, Mapping):
            raise self._wrong(where, "a table", table)
        hints = typing.get_type_hints(kind)
        names = {name.replace("_", "-"): name for name in hints}
        values: dict[str, Any] = {}
        for key, value in typing.cast("Mapping[str, object]", table).items():
            dotted = f"{where}.{key}" if where else key
            name = names.get(key.replace("_", "-"))
            if name is None:
                raise Usage(f"{self.path}: unknown key {dotted!r}{suggestion(key, names)}")
            values[name] = self.value(hints[name], value, dotted)
        return kind(**values)

    def value(self, hint: Any, value: object, where: str) -> object:
        """`value` as the type `hint` of a settings field."""
        origin, arguments = typing.get_origin(hint), typing.get_args(hint)
        if dataclasses.is_dataclass(hint):
            return self.record(typing.cast("type[object]", hint), value, where)
        if origin in (types.UnionType, typing.Union):  # only `X | None` occurs; TOML has no null
            return self.value(next(a for a in arguments if a is not types.NoneType), value, where)
        if origin is tuple:
            return self._tuple(arguments[0], value, where)
        if origin is typing.Literal:
            return self._choice(dict.fromkeys(arguments), value, where)
        if isinstance(hint, type) and issubclass(hint, enum.Enum):
            return hint(self._choice({member.value: None for member in hint}, value, where))
        if isinstance(origin, type) and issubclass(origin, Mapping):
            return self._mapping(arguments[1], value, where)
        return self._scalar(hint, value, where)

    def _tuple(self, item: Any, value: object, where: str) -> tuple[object, ...]:
        if not isinstance(value, list):
            raise self._wrong(where, "a list", value)
        entries = typing.cast("list[object]", value)
        return tuple(self.value(item, entry, f"{where}[{i}]") for i, entry in enumerate(entries))

    def _mapping(self, item: Any, value: object, where: str) -> dict[str, object]:
        if not isinstance(value, Mapping):
            raise self._wrong(where, "a table", value)
        table = typing.cast("Mapping[str, object]", value)
        # The keys of `bind` are names in the model and stay as they are. Those of a table of options
        # are names of fields, which TOML writes in kebab-case.
        is_options = item is object
        return {
            (key.replace("-", "_") if is_options else key): self.value(item, entry, f"{where}.{key}")
            for key, entry in table.items()
        }

    def _choice(self, allowed: Mapping[object, None], value: object, where: str) -> object:
        if not isinstance(value, str) or value not in allowed:
            raise self._wrong(where, "one of " + ", ".join(str(a) for a in allowed), value)
        return value

    def _scalar(self, hint: Any, value: object, where: str) -> object:
        if hint is ByteSize:
            return self._size(value, where)
        # bool is a subclass of int in Python, but `draws = true` is a mistake.
        if hint is object or (type(value) is hint):
            return value
        if hint is float and type(value) is int:
            return float(value)
        if hint is Path and isinstance(value, str):
            return self.path.absolute().parent / Path(value).expanduser()
        names = {bool: "true or false", int: "a whole number", float: "a number", str: "a string", Path: "a path"}
        raise self._wrong(where, names[hint], value)

    def _size(self, value: object, where: str) -> ByteSize:
        try:
            return parse_size(str(value) if type(value) in (int, str) else "")
        except ValueError:
            raise self._wrong(where, "a size such as 4GB", value) from None

    def _wrong(self, where: str, wanted: str, value: object) -> Usage:
        return Usage(f"{self.path}: {where or 'ncgopt'!s} must be {wanted}, not {value!r}")


def suggestion(name: str, known: typing.Iterable[str]) -> str:
    """What to append to "unknown X": the closest known names, or nothing if none is close."""
    close = difflib.get_close_matches(name, list(known), n=3)
    return f"; did you mean {', '.join(close)}?" if close else ""
