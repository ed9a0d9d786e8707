"""Which models are meant, and where the result of each goes."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterable, Iterator, Sequence, Set
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


def find(arguments: Iterable[str], *, results_too: bool, output: str | None = None) -> list[Source]:
    """All models that command line arguments mean, each once, in their order.

    Args:
        arguments: a path or URL of a model; a folder, for all `*.onnx` below it (hidden folders aside);
            `@FILE` for a list of such arguments, one per line, `#` begins a comment, `@-` reads standard input.
        results_too: whether a folder's `*.opt.onnx`, which `optimize` wrote, are meant too.
        output: the folder of results: where it lies inside of a folder of models, what is in it is not meant.

    Raises:
        InputUnreadable: a list cannot be read, or a folder or list holds nothing.
        Unavailable: a URL, and what reads it is not installed.
    """
    found: dict[str, Source] = {}
    for argument in arguments:
        for source in _expand(argument, results_too=results_too, output=output):
            found.setdefault(_identity(source.path), source)
    return list(found.values())


def _expand(argument: str, *, results_too: bool, output: str | None) -> Iterator[Source]:
    if argument.startswith("@") and not os.path.exists(argument):
        for line in _lines(argument[1:]):
            yield from _expand(line, results_too=results_too, output=output)
        return
    if urls.is_url(argument):
        found = urls.models_at(argument)
    elif os.path.isdir(argument):
        found = _models_in(Path(argument))
    else:
        yield Source(argument, Path(argument).name)
        return
    inside = output if output is not None and _is_below(output, argument) else None
    wanted = [Source(path, name) for path, name in found if results_too or not name.endswith(_RESULT)]
    wanted = [source for source in wanted if inside is None or not _is_below(source.path, inside)]
    if not wanted:
        raise InputUnreadable(f"{argument} is a directory, and no file *.onnx is in it")
    yield from wanted


def _is_below(path: str, folder: str) -> bool:
    """Whether a path or URL lies inside of a folder; nothing lies inside of itself."""
    if urls.is_url(folder):
        return path.rstrip("/").startswith(folder.rstrip("/") + "/")
    return not urls.is_url(path) and Path(os.path.abspath(folder)) in Path(os.path.abspath(path)).parents


def _models_in(folder: Path) -> Iterator[tuple[str, str]]:
    for path in sorted(folder.rglob("*.onnx")):
        inside = path.relative_to(folder)
        if path.is_file() and not any(part.startswith(".") for part in inside.parts):
            yield str(path), inside.as_posix()


def _lines(name: str) -> list[str]:
    try:
        text = sys.stdin.read() if name == "-" else Path(name).read_text(encoding="utf-8-sig")
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
        Usage: two results would go to the same place, or one would replace its model or another one.
        CannotWrite: there is a file where the folder should be.
    """
    if not urls.is_url(folder) and os.path.exists(folder) and not os.path.isdir(folder):
        raise CannotWrite(f"{folder} is a file; the results of several models go into a folder")
    taken: dict[str, str] = {}
    models = {_identity(source.path) for source in sources}
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
        _refuse_model(target, source, models)
        pairs.append(Pair(source.path, target, source.name))
    return pairs


def beside(sources: Sequence[Source], *, in_place: bool) -> list[Pair]:
    """Each result beside its model, as `MODEL.opt.onnx`, or in its place.

    Raises:
        Usage: a model is a URL, and its result is to go beside it; or a result would replace another model.
    """
    models = {_identity(source.path) for source in sources}
    pairs: list[Pair] = []
    for source in sources:
        if urls.is_url(source.path):
            raise Usage(f"{source.path}: say with -o where the results of models at URLs go")
        path = Path(source.path)
        target = None if in_place else str(path.with_name(f"{path.stem}{_RESULT}"))
        if target is not None:
            _refuse_model(target, source, models)
        pairs.append(Pair(source.path, target, PurePosixPath(source.name).name))
    return pairs


def _refuse_model(target: str, source: Source, models: Set[str]) -> None:
    """What is read must not be written in the same run: it would depend on which comes first."""
    if _identity(target) in models:
        raise Usage(f"the result of {source.path} would replace {target}, which is one of the models; leave one out")
