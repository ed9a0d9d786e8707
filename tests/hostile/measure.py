"""Run a command line on a file and see what it does: time, memory of each of its processes, files touched."""

from __future__ import annotations

import os
import subprocess
import tempfile
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO

PATIENCE = 120.0  # seconds after which a run is killed and counts as one that hangs


@dataclass(frozen=True)
class Outcome:
    """What a run did.

    Attributes:
        code: exit code; None where it had to be killed.
        err: standard error.
        seconds: wall clock.
        processor: seconds of processor time, of it and of its children.
        parent, job: largest memory of the process itself, and of the child in which the model is read and
            rewritten; not of that child's own child, where models run. In bytes; 0 where it is not known.
        touched: files outside of the model's folder that were read, made, changed or removed.
        files: what lies in the model's folder afterwards.
    """

    code: int | None
    out: str
    err: str
    seconds: float
    processor: float
    parent: int
    job: int
    touched: list[str] = field(default_factory=list)
    files: list[str] = field(default_factory=list)


def run(command: Sequence[object], model: Path, cache: Path) -> Outcome:
    """Run `command` in the model's folder; `cache` is where it may keep what it likes."""
    outside = model.parent.parent
    before = _state(outside, model.parent)
    environment = {**os.environ, "XDG_CACHE_HOME": str(cache)}
    start = time.monotonic()
    with tempfile.TemporaryFile() as out, tempfile.TemporaryFile() as err:
        process = subprocess.Popen(
            [str(part) for part in command],
            cwd=model.parent, stdin=subprocess.DEVNULL, stdout=out, stderr=err, env=environment,
        )  # fmt: skip
        code, processor, peaks = _watch(process, start)
        said = [_text(out), _text(err)]
    seconds = time.monotonic() - start
    after = _state(outside, model.parent)
    touched = [path for path in {**before, **after} if before.get(path) != after.get(path)]
    files = sorted(path.name for path in model.parent.iterdir())
    return Outcome(code, *said, seconds, processor, peaks[0], peaks[1], touched, files)


def _watch(process: subprocess.Popen[bytes], start: float) -> tuple[int | None, float, list[int]]:
    """Wait for the end; exit code, processor time, and the largest memory of the process and of its first child."""
    peaks = [0, 0]
    job = 0
    killed = False
    while True:
        found, status, usage = os.wait4(process.pid, os.WNOHANG)
        if found:
            process.returncode = os.waitstatus_to_exitcode(status)
            return None if killed else process.returncode, usage.ru_utime + usage.ru_stime, peaks
        peaks[0] = max(peaks[0], _peak(process.pid))
        job = job or next(iter(_children(process.pid)), 0)
        peaks[1] = max(peaks[1], _peak(job) if job else 0)
        if not killed and time.monotonic() - start > PATIENCE:
            process.kill()
            killed = True
        time.sleep(0.04)


def _text(file: IO[bytes]) -> str:
    file.seek(0)
    return file.read().decode("utf-8", "replace")


def notices_reading(folder: Path) -> bool:
    """Whether the file system notes when a file was read last."""
    probe = folder / "probe"
    probe.write_bytes(b"x")
    os.utime(probe, ns=(1, 1))
    probe.read_bytes()
    return probe.stat().st_atime_ns != 1


def _state(outside: Path, inside: Path) -> dict[str, object]:
    """What there is to see of files outside of the model's folder; their time of access is set long ago before."""
    found: dict[str, object] = {}
    for path in sorted(outside.iterdir()):
        if path == inside:
            continue
        if path.name not in _SEEN.setdefault(str(outside), set()):
            os.utime(path, ns=(1_000_000_000, path.stat().st_mtime_ns))
            _SEEN[str(outside)].add(path.name)
        status = path.stat()
        found[str(path)] = (status.st_size, status.st_mtime_ns, status.st_atime_ns, status.st_ino)
    return found


_SEEN: dict[str, set[str]] = {}


def _peak(process: int) -> int:
    try:
        text = Path(f"/proc/{process}/status").read_text(encoding="utf-8", errors="replace")
    except OSError:
        return 0
    line = next((line for line in text.splitlines() if line.startswith("VmHWM:")), "VmHWM: 0")
    return int(line.split()[1]) * 1024


def _children(process: int) -> list[int]:
    try:
        return [int(word) for word in Path(f"/proc/{process}/task/{process}/children").read_text().split()]
    except OSError:
        return []
