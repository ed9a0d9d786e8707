"""How much memory a child may take, and who sees to it.

Two guards, because neither suffices. The kernel refuses what would exceed the limit at once
(`RLIMIT_DATA`, Linux): an operator that asks for a terabyte gets an ordinary "out of memory" and the
child lives on. `RLIMIT_AS` is not used for that: it also counts mapped files, and external weights of
any size are mapped. But code that does not expect a refusal aborts, memory of another kind (shared
mappings, device drivers) is not counted, and macOS ignores the limit; so the parent also watches what
the child really holds (private pages, not mapped files) and ends it beyond the limit. On Windows only
time is limited: nothing in Python's standard library tells the memory of another process there.
"""

from __future__ import annotations

import importlib
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

_SHARE = 0.75  # of the machine's memory, where nothing was asked for
_CGROUP_LIMITS = ("/sys/fs/cgroup/memory.max", "/sys/fs/cgroup/memory/memory.limit_in_bytes")


def default_limit() -> int | None:
    """Three quarters of the memory of the machine, or of the container; None where nobody can tell."""
    total = _machine()
    if total is None:
        return None
    for path in _CGROUP_LIMITS:
        try:
            text = Path(path).read_text(encoding="ascii").strip()
        except (OSError, UnicodeDecodeError):
            continue
        if text.isdecimal():
            total = min(total, int(text))
    return int(total * _SHARE)


def restrict(limit: int) -> None:
    """Have the kernel refuse this process more than `limit` bytes of data, where it can do that."""
    if not sys.platform.startswith("linux"):
        return
    resource: Any = importlib.import_module("resource")
    hard = resource.getrlimit(resource.RLIMIT_DATA)[1]
    if hard != resource.RLIM_INFINITY:
        limit = min(limit, hard)
    resource.setrlimit(resource.RLIMIT_DATA, (limit, hard))


def held_by(process: int) -> int | None:
    """Bytes that a process holds for itself alone (mapped files not counted); None where nobody can tell."""
    if sys.platform.startswith("linux"):
        try:
            status = Path(f"/proc/{process}/status").read_text(encoding="utf-8", errors="replace")
        except OSError:
            return None
        fields = dict(line.split(":", 1) for line in status.splitlines() if ":" in line)
        parts = [fields.get(name, "").split() for name in ("RssAnon", "RssShmem")]
        return sum(int(part[0]) * 1024 for part in parts if part)
    return _by_ps(process) if os.name == "posix" else None


def _by_ps(process: int) -> int | None:
    """On macOS and the BSDs; there it does count mapped files, so that it errs on the strict side."""
    found = subprocess.run(["ps", "-o", "rss=", "-p", str(process)], capture_output=True, text=True, check=False)
    text = found.stdout.strip()
    return int(text) * 1024 if text.isdecimal() else None


def _machine() -> int | None:
    try:
        return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    except (AttributeError, OSError, ValueError):  # no sysconf on Windows
        return None
