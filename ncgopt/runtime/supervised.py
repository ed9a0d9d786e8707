"""The whole job of `optimize` in a child process, begun again without whatever took it down.

The command line works this way, the library does not: a child costs nothing when the parent has not
imported anything heavy yet, whereas a program that calls `ncgopt.optimize` may have its reasons not to
start processes from where it is, and has the watchdog's exception (`watchdog.py`) in any case. What
only a process boundary can end is native code: a crash, a loop that never reaches a Python instruction,
memory that grows without bound. The child notes the rule or pass that is running in a black box, so
that it can be named, left out, and the job begun again from the file; an interrupted job has written
nothing but temporary files.

The child is a fresh interpreter, not a fork: it can start while the parent is still parsing its
options, forking is unsafe once a spinner or any other thread runs, and Windows and macOS are the same.
"""

from __future__ import annotations

import os
import shutil
import tempfile
import threading
from collections.abc import Callable
from pathlib import Path
from types import TracebackType
from typing import Self

from ncgopt.errors import OutOfResources, UnsoundRewrite
from ncgopt.report import Report, RolledBack
from ncgopt.runtime.blackbox import BlackBox
from ncgopt.runtime.death import WorkerDied
from ncgopt.runtime.leftovers import hold, sweep_folders
from ncgopt.runtime.process import Worker
from ncgopt.settings import Settings

_MAX_RESTARTS = 16
_MAX_KILLED = 2
_ENTRY = "ncgopt.job:run"


class Supervised:
    """A child that optimizes one model after the other. Use as a context manager.

    Args:
        memory: bytes that the child may hold; None for three quarters of the machine's memory.
        entry: what the child runs, called as `ncgopt.job:run` is; tests plant faults this way.
        ahead: a module that the child imports before it is given something to do.
        threads: whether numpy may use all cores in the child.
        stop: set by another thread to end the job, which then raises `Stopped`.
        keep: whether the child's own child, in which models run, serves one model after the other.
    """

    def __init__(
        self,
        memory: int | None = None,
        entry: str = _ENTRY,
        ahead: str = "",
        *,
        threads: bool = True,
        stop: threading.Event | None = None,
        keep: bool = False,
    ) -> None:
        self._entry, self._keep = entry, keep
        sweep_folders(Path(tempfile.gettempdir()))
        self._scratch = Path(tempfile.mkdtemp(prefix="ncgopt-"))
        self._box_file = self._scratch / "doing"
        self._held = self._box_file.open("w+b")
        hold(self._held.fileno())
        self._box = BlackBox(self._box_file)
        self._worker = Worker(memory=memory, box=self._box, threads=threads, stop=stop)
        self._worker.start(ahead)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, tb: TracebackType | None) -> None:
        self.close()

    def close(self) -> None:
        """End the child, and remove what it left."""
        self._worker.close()
        self._box.close()
        self._held.close()
        shutil.rmtree(self._scratch, ignore_errors=True)  # a grandchild that is just ending may still write into it

    def optimize(
        self,
        model: str | os.PathLike[str],
        settings: Settings,
        *,
        output: Path | None = None,
        in_place: bool = False,
        progress: Callable[[str], None] | None = None,
    ) -> Report:
        """Do what `ncgopt.pipeline.optimize` does, which describes the arguments.

        Raises:
            NcgoptError: as there.
            UnsoundRewrite: a rule or pass took the child down, and may not be left out.
            OutOfResources: something else than a rule or pass took it down.
            Stopped: it was not wanted any more.
        """
        ended: list[RolledBack] = []
        killed = 0
        while True:
            self._box.write("", None)
            request = (Path(model), settings, output, in_place, ended, self._scratch, self._box_file, self._keep)
            try:
                return self._worker.call(self._entry, *request, listener=progress)
            except WorkerDied as death:
                killed += death.signal_name == "SIGKILL"
                if death.signal_name == "SIGKILL" and killed <= _MAX_KILLED:
                    continue  # by somebody else: no rule does that, unless the system runs out of memory again
                ended.append(self._culprit(Path(model), death, ended, strict=settings.strict))
            if progress is not None:
                progress(f"again without {ended[-1].source} ({ended[-1].reason})")

    def _culprit(self, model: Path, death: WorkerDied, ended: list[RolledBack], *, strict: bool) -> RolledBack:
        name = self._box.read().doing
        if not name:
            raise OutOfResources(f"{model}: {death}; nothing was written") from None
        if strict or len(ended) >= _MAX_RESTARTS or any(one.source == name for one in ended):
            raise UnsoundRewrite(f"{model}: {name}: {death.what}; nothing was written; please report this") from None
        return RolledBack(-1, name, name, "everywhere", death.what)
