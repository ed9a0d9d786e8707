"""Many files: what an earlier run found where nothing changed, and the rest in several processes."""

from __future__ import annotations

import dataclasses
import functools
import multiprocessing
import multiprocessing.util
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from ncgopt.errors import ExitCode, NcgoptError
from ncgopt.lint import noted
from ncgopt.lint.beside import lying_beside
from ncgopt.lint.finding import Checked, from_data, to_data
from ncgopt.settings import Settings

if TYPE_CHECKING:
    from ncgopt.lint.run import Examiner

_WORTH = 4  # files per process: a process takes a second to start


@dataclass(frozen=True)
class File:
    """A model to look at.

    Attributes:
        shown: what it is called in everything that is said about it.
        path: where its content is; elsewhere for what git has staged.
    """

    shown: Path
    path: Path

    @staticmethod
    def of(path: Path) -> File:
        """The file at `path`, under its own name."""
        return File(path, path)


def check_many(
    files: Sequence[File], settings: Settings, *, cache: bool, jobs: int, say: Callable[[str], None]
) -> Iterator[Checked]:
    """What is found in each file, in their order, as soon as it is known.

    A file that cannot be looked at gives a `Checked` with its error, and does not stop the others.

    Args:
        files: what to look at.
        settings: how.
        cache: whether to use and to note what was found, see `ncgopt.lint.noted`.
        jobs: processes to work in.
        say: called with one line per file that is looked at.

    Raises:
        Usage: the settings make no sense.
    """
    keys = [_key(file, settings) if cache else None for file in files]
    known = [_known(file, key) for file, key in zip(files, keys, strict=True)]
    missing = [index for index, one in enumerate(known) if one is None]
    jobs = max(1, min(jobs, len(missing) // _WORTH))
    if not missing:
        yield from (found for found in known if found is not None)
        return
    if jobs == 1:
        from ncgopt.lint.run import Examiner

        with Examiner(settings.memory_limit) as examiner:
            for file, key, found in zip(files, keys, known, strict=True):
                if found is None:
                    say(f"checking {file.shown}")
                yield found if found is not None else _look(file, settings, key, examiner)
        return
    with ProcessPoolExecutor(jobs, mp_context=multiprocessing.get_context("spawn")) as pool:
        running = {index: pool.submit(_look_apart, files[index], settings, keys[index]) for index in missing}
        for index, (file, found) in enumerate(zip(files, known, strict=True)):
            if found is None:
                say(f"checking {file.shown}")
                found = _result(file, running[index])
            yield found


def _key(file: File, settings: Settings) -> str | None:
    """The name of what is noted about a file; None for one with data beside it, about which nothing is."""
    return None if lying_beside(file.path) else noted.key_of(file.path, settings)


def _known(file: File, key: str | None) -> Checked | None:
    return None if key is None else from_data(file.shown, noted.look_up(key))


def _look(file: File, settings: Settings, key: str | None, examiner: Examiner) -> Checked:
    """Look at the file itself, and note what was found unless it depends on more than the file's content."""
    try:
        checked, alone = examiner.examine(file.path, settings)
    except NcgoptError as error:
        if error.exit_code == ExitCode.USAGE:
            raise
        return Checked(file.shown, error=_renamed(str(error), file), exit_code=error.exit_code)
    noteworthy = alone and not any(str(file.path) in one.message for one in checked.findings)
    if noteworthy and key is not None and key == noted.key_of(file.path, settings):  # it is what it was
        noted.note(key, to_data(checked))
    findings = (dataclasses.replace(one, message=_renamed(one.message, file)) for one in checked.findings)
    return dataclasses.replace(checked, model=file.shown, findings=tuple(findings))


def _renamed(text: str, file: File) -> str:
    return text if file.path == file.shown else text.replace(str(file.path), str(file.shown))


def _look_apart(file: File, settings: Settings, key: str | None) -> Checked:
    """As `_look`, in a process of its own, which has not been told yet what it need not import."""
    from ncgopt.deferred import defer_unused

    with suppress(KeyboardInterrupt):
        defer_unused()
        return _look(file, settings, key, _examiner(settings.memory_limit))
    return Checked(file.shown, error="interrupted", exit_code=ExitCode.INTERRUPTED)


@functools.cache
def _examiner(memory: int | None) -> Examiner:
    """One per process of a pool, and as long as that."""
    from ncgopt.lint.run import Examiner

    examiner = Examiner(memory)
    multiprocessing.util.Finalize(None, examiner.close, exitpriority=10)
    return examiner


def _result(file: File, running: Future[Checked]) -> Checked:
    try:
        return running.result()
    except BrokenProcessPool:
        what = f"{file.shown}: a process that looked at models ended unexpectedly; --jobs 1 shows at which"
        return Checked(file.shown, error=what, exit_code=ExitCode.OUT_OF_RESOURCES)
