"""Which models are meant, and where the result of each goes."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from ncgopt.errors import CannotWrite, InputUnreadable, Usage
from ncgopt.fleet import urls

_RESULT = ".opt.onnx"


@dataclass(frozen=True)
class Source:
    """A model, and how its result is called.

    Attributes:
        path: of the model; or its URL.
        name: of the result in a folder of results: relative to the folder or the list it was found in, with `/`.
    """

    path: str
    name: str


@dataclass(frozen=True)
class Pair:
    """A model and where its result goes: a path or a URL; None for in its place."""

    source: str
    target: str | None
    name: str


def find(arguments: Iterable[str], *, results_too: bool) -> list[Source]:
    """All models that command line arguments mean, each once, in their order.

    Args:
        arguments: a path or URL of a model; a folder, for all `*.onnx` below it (hidden folders aside);
            `@FILE` for a list of such arguments, one per line, `#` begins a comment, `@-` reads standard input.
        results_too: whether a folder's `*.opt.onnx`, which `optimize` wrote, are meant too.

    Raises:
        InputUnreadable: a list cannot be read, or a folder or list holds nothing.
        Unavailable: a URL, and what reads it is not installed.
    """
    found: dict[str, Source] = {}
    for argument in arguments:
        for source in _expand(argument, results_too=results_too):
            found.setdefault(_identity(source.path), source)
    return list(found.values())


def _expand(argument: str, *, results_too: bool) -> Iterator[Source]:
    if argument.startswith("@") and not os.path.exists(argument):
        for line in _lines(argument[1:]):
            yield from _expand(line, results_too=results_too)
    elif urls.is_url(argument):
        yield from (Source(path, name) for path, name in _wanted(urls.models_at(argument), argument, results_too))
    elif os.path.isdir(argument):
        yield from (Source(path, name) for path, name in _wanted(_models_in(Path(argument)), argument, results_too))
    else:
        yield Source(argument, Path(argument).name)


def _wanted(found: Iterable[tuple[str, str]], folder: str, results_too: bool) -> list[tuple[str, str]]:
    wanted = [(path, name) for path, name in found if results_too or not name.endswith(_RESULT)]
    if not wanted:
        raise InputUnreadable(f"{folder} is a directory, and no file *.onnx is in it")
    return wanted


def _models_in(folder: Path) -> Iterator[tuple[str, str]]:
    for path in sorted(folder.rglob("*.onnx")):
        inside = path.relative_to(folder)
        if path.is_file() and not any(part.startswith(".") for part in inside.parts):
            yield str(path), inside.as_posix()


def _lines(name: str) -> list[str]:
    try:
        text = sys.stdin.read() if name == "-" else Path(name).read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        reason = error.strerror if isinstance(error, OSError) else "no text"
        raise InputUnreadable(f"@{name}: the list of models cannot be read: {reason}") from error
    lines = [line.strip() for line in text.splitlines()]
    wanted = [line for line in lines if line and not line.startswith("#")]
    if not wanted:
        raise InputUnreadable(f"@{name}: the list of models is empty")
    if any(line.startswith("@") for line in wanted):
        raise Usage(f"@{name}: a list cannot name another list")
    return wanted


def _identity(path: str) -> str:
    return path if urls.is_url(path) else os.path.abspath(path)


def into_folder(sources: Sequence[Source], folder: str) -> list[Pair]:
    """Each result below `folder`, under the model's name; nothing is written yet.

    Raises:
        Usage: two results would go to the same place, or one would replace its model.
        CannotWrite: there is a file where the folder should be.
    """
    if not urls.is_url(folder) and os.path.exists(folder) and not os.path.isdir(folder):
        raise CannotWrite(f"{folder} is a file; the results of several models go into a folder")
    taken: dict[str, str] = {}
    pairs: list[Pair] = []
    for source in sources:
        other = taken.setdefault(source.name, source.path)
        if other != source.path:
            raise Usage(
                f"{other} and {source.path} would both be written to {source.name}; "
                "name the folder that holds both, which keeps them apart"
            )
        target = urls.join(folder, source.name) if urls.is_url(folder) else str(Path(folder, source.name))
        if _identity(target) == _identity(source.path):
            raise Usage(f"{target} is the input itself; say --in-place to replace it")
        pairs.append(Pair(source.path, target, source.name))
    return pairs


def beside(sources: Sequence[Source], *, in_place: bool) -> list[Pair]:
    """Each result beside its model, as `MODEL.opt.onnx`, or in its place.

    Raises:
        Usage: a model is a URL, and its result is to go beside it.
    """
    pairs: list[Pair] = []
    for source in sources:
        if urls.is_url(source.path):
            raise Usage(f"{source.path}: say with -o where the results of models at URLs go")
        path = Path(source.path)
        target = None if in_place else str(path.with_name(f"{path.stem}{_RESULT}"))
        pairs.append(Pair(source.path, target, PurePosixPath(source.name).name))
    return pairs
