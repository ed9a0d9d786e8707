"""Only regular files are read: a pipe would keep a reader waiting forever, a device may never end."""

from __future__ import annotations

import stat
from pathlib import Path

from ncgopt.errors import InputUnreadable


def require_regular(path: Path) -> None:
    """Raise `InputUnreadable` unless `path` is a regular file, or a link to one; it is not opened for that.

    Raises:
        InputUnreadable: something else is there.
        OSError: nothing is there, or nobody may look.
    """
    mode = path.stat().st_mode
    if stat.S_ISDIR(mode):
        raise InputUnreadable(f"{path} is a directory, not an ONNX file")
    if not stat.S_ISREG(mode):
        raise InputUnreadable(f"{path} is no regular file")
