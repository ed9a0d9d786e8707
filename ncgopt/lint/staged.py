"""What git has staged: models as they would be committed, whatever the work tree has by now."""

from __future__ import annotations

import contextlib
import os
import shutil
import subprocess
import tempfile
from collections.abc import Generator, Iterable, Sequence
from pathlib import Path

from ncgopt.errors import InputUnreadable, Unavailable, Usage
from ncgopt.lint.many import File
from ncgopt.model.files import data_locations


@contextlib.contextmanager
def staged(only: Sequence[Path] = ()) -> Generator[list[File]]:
    """Staged models (`*.onnx`, added or changed), their content and their external data written to a passing folder.

    Filters apply as on a checkout, so that Git LFS has a say. Data that git does not know are taken from the work tree.

    Args:
        only: of these, those that are staged; all of the repository without it.

    Raises:
        Usage: the working directory is in no git repository.
        Unavailable: there is no git.
    """
    top = Path(os.fsdecode(_git(Path.cwd(), "rev-parse", "--show-toplevel").rstrip(b"\n")))
    listed = _git(top, "diff", "--cached", "--name-only", "--diff-filter=ACMRT", "-z", "--", "*.onnx")
    wanted = {_unlinked(path) for path in only}
    names = [os.fsdecode(name) for name in listed.split(b"\0") if name]
    names = [name for name in names if not wanted or _unlinked(top / name) in wanted]
    with tempfile.TemporaryDirectory(prefix="ncgopt-") as folder:
        target = Path(folder)
        _check_out(top, target, names)
        _check_out_data(top, target, names)
        yield [File(_shown(top / name), target / name) for name in names]


def _unlinked(path: Path) -> Path:
    """One spelling for all ways to a file; the file itself may be a link, which git stages as such."""
    return Path(os.path.realpath(path.parent), path.name)


def _shown(path: Path) -> Path:
    """As a user in the working directory would write it."""
    here = Path.cwd()
    return path.relative_to(here) if path.is_relative_to(here) else path


def _check_out(top: Path, target: Path, names: Iterable[str]) -> None:
    listed = b"".join(os.fsencode(name) + b"\0" for name in names)
    if listed:
        _git(top, "checkout-index", "--force", "--quiet", f"--prefix={target}{os.sep}", "-z", "--stdin", input_=listed)


def _check_out_data(top: Path, target: Path, names: Iterable[str]) -> None:
    """The external data of models that were written to `target`, as far as their locations stay in the repository."""
    needed: dict[str, None] = {}
    for name in names:
        for location in data_locations(target / name):
            path = os.path.normpath(Path(name).parent / location)
            if not os.path.isabs(location) and not path.startswith(".."):
                needed[path] = None
    # All that git knows, as locations, which may be anything, are no arguments for it.
    known = _git(top, "ls-files", "-z").split(b"\0") if needed else []
    tracked = {os.fsdecode(name) for name in known if name}
    _check_out(top, target, [path for path in needed if path in tracked])
    for path in needed:
        if path not in tracked and os.path.isfile(top / path):  # false for a location that can be no path
            try:
                (target / path).parent.mkdir(parents=True, exist_ok=True)
                shutil.copyfile(top / path, target / path)
            except OSError as error:
                raise InputUnreadable(f"{_shown(top / path)}: {error.strerror or error}") from error


def _git(folder: Path, *arguments: str, input_: bytes | None = None) -> bytes:
    try:
        done = subprocess.run(["git", *arguments], cwd=folder, input=input_, capture_output=True, check=False)
    except FileNotFoundError:
        raise Unavailable("--staged needs git, which was not found") from None
    if done.returncode:
        said = " ".join(os.fsdecode(done.stderr).split())
        if "not a git repository" in said:
            raise Usage("--staged works inside of a git repository, which the working directory is not")
        raise InputUnreadable(f"git {arguments[0]} failed: {said}")
    return done.stdout
