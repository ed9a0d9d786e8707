"""What a killed process leaves behind, and who removes it: the next one.

Whoever works with a temporary file holds a lock on it, which the system gives up when the process ends,
however it ends. A file that carries our name and that nobody holds is therefore left over, unless it was
written to just now: between its end and its renaming nobody holds it either. On Windows, where nobody can
remove an open file, trying to is the lock.
"""

from __future__ import annotations

import contextlib
import importlib
import os
import re
import shutil
import stat
import time
from pathlib import Path
from typing import Any

_FILE = re.compile(r"\.ncgopt-[0-9a-f]{16}\.tmp")
_AGE_SECONDS = 60.0
_HELD = "doing"  # the file in a folder of ours that its owner holds


def hold(descriptor: int) -> bool:
    """Hold an open file; False where another process holds it, or has removed it in the meantime."""
    if os.name != "posix":
        return True
    fcntl: Any = importlib.import_module("fcntl")
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    except OSError:  # a file system without locks: nobody can sweep there either
        return True
    return os.fstat(descriptor).st_nlink > 0


def sweep_files(folder: Path) -> None:
    """Remove temporary files of ours in `folder` that nobody holds; what cannot be removed stays."""
    with contextlib.suppress(OSError):
        for path in folder.iterdir():
            if _FILE.fullmatch(path.name):
                _remove(path, path)


def sweep_folders(parent: Path) -> None:
    """Remove folders `ncgopt-*` of this user in `parent` whose owner is gone."""
    with contextlib.suppress(OSError):
        for path in parent.glob(f"ncgopt-*/{_HELD}"):
            _remove(path, path.parent)


def _remove(held: Path, whole: Path) -> None:
    """Remove `whole` if it is ours and nobody holds `held`, which may be the same."""
    with contextlib.suppress(OSError):
        mine = whole.lstat()
        young = time.time() - held.lstat().st_mtime < _AGE_SECONDS
        if young or stat.S_ISLNK(mine.st_mode) or (os.name == "posix" and mine.st_uid != os.getuid()):
            return
        descriptor = os.open(held, os.O_RDWR | getattr(os, "O_NOFOLLOW", 0) | getattr(os, "O_NONBLOCK", 0))
        try:
            free = stat.S_ISREG(os.fstat(descriptor).st_mode) and _is_free(descriptor)
            if free and os.name == "posix":
                _delete(whole)
        finally:
            os.close(descriptor)
        if os.name != "posix":
            _delete(whole)


def _is_free(descriptor: int) -> bool:
    if os.name != "posix":
        return True
    fcntl: Any = importlib.import_module("fcntl")
    fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)  # OSError: somebody holds it, or there are no locks
    return True


def _delete(path: Path) -> None:
    if path.is_dir():
        shutil.rmtree(path, ignore_errors=True)
    else:
        path.unlink(missing_ok=True)
