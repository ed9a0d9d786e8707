"""Child side: call library functions for a parent process (see `process.py`).

The pipe to the parent is what the parent passed as standard input and output. Both are moved to
private descriptors first and standard output is joined to standard error, which the parent points
at a temporary file: whatever native code prints can then neither corrupt the pipe nor get lost.
"""

from __future__ import annotations

import contextlib
import ctypes
import faulthandler
import gc
import importlib
import os
import pickle
import queue
import signal
import sys
import threading
import traceback
from collections.abc import Callable
from typing import Any, BinaryIO

from ncgopt.deferred import defer_unused
from ncgopt.runtime import channel
from ncgopt.runtime.memory import restrict
from ncgopt.runtime.stage import listen

PICKLE_PROTOCOL = 5
# A model is a web of objects that live until the end: to look through them for garbage after every few hundred
# takes a tenth of the time.
_OBJECTS_BETWEEN_COLLECTIONS = 50_000
_PR_SET_PDEATHSIG = 1
_ONE_THREAD = ("OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "VECLIB_MAXIMUM_THREADS")  # read when numpy is imported


class RemoteError(RuntimeError):
    """An exception of a type that the parent may not be able to import, as text."""


def main(ahead: str, memory: str, threads: str = "one") -> None:
    """Serve requests until the parent closes the pipe or dies.

    Args:
        ahead: a module to import before the first request comes; where that fails, the request that needs
            it says so. Empty for none.
        memory: bytes of data that the kernel is asked not to exceed, as text; `0` for no limit.
        threads: `one` where numpy, like ONNX Runtime, shall use one; `all` to leave that to it.
    """
    requests, replies = _private_pipe()
    _end_with_parent()
    for library in _ONE_THREAD if threads == "one" else ():  # threads that wait for each other cost more than they save
        os.environ.setdefault(library, "1")
    if int(memory):
        restrict(int(memory))
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C reaches the whole group; the parent decides
    faulthandler.enable(sys.stderr)
    listen(lambda doing: channel.send(replies, pickle.dumps(("stage", doing), PICKLE_PROTOCOL)))
    incoming: queue.SimpleQueue[bytes] = queue.SimpleQueue()
    threading.Thread(target=_read, args=(requests, incoming), daemon=True).start()
    gc.set_threshold(_OBJECTS_BETWEEN_COLLECTIONS)
    defer_unused()
    if ahead:
        with contextlib.suppress(ImportError):
            importlib.import_module(ahead)
    channel.send(replies, pickle.dumps(("ready",), PICKLE_PROTOCOL))
    while True:
        channel.send(replies, answer(incoming.get()))


def answer(request: bytes) -> bytes:
    """Run one pickled request `("package.module:function", args)`; the pickled reply.

    The reply is `("result", value)` or `("error", exception, traceback)`.
    """
    try:
        function, args = pickle.loads(request)
        return pickle.dumps(("result", _resolve(function)(*args)), PICKLE_PROTOCOL)
    except (Exception, SystemExit) as error:
        reply = ("error", portable(error), traceback.format_exc())
        return pickle.dumps(reply, PICKLE_PROTOCOL)


def _end_with_parent() -> None:
    """Have the kernel end us when the parent dies (Linux); elsewhere `_read` does, unless native code holds the lock.

    The signal comes when the parent's *thread* ends that started us: the one that runs the whole job.
    """
    if sys.platform.startswith("linux"):
        ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)


def _private_pipe() -> tuple[BinaryIO, BinaryIO]:
    requests, replies = os.dup(0), os.dup(1)
    if sys.platform == "win32":
        import msvcrt

        msvcrt.setmode(requests, os.O_BINARY)
        msvcrt.setmode(replies, os.O_BINARY)
    nothing = os.open(os.devnull, os.O_RDONLY)
    os.dup2(nothing, 0)
    os.close(nothing)
    os.dup2(2, 1)
    return os.fdopen(requests, "rb"), os.fdopen(replies, "wb")


def _read(requests: BinaryIO, incoming: queue.SimpleQueue[bytes]) -> None:
    """Hand on requests; end the process when the parent is gone, even in the middle of a long run."""
    while (request := channel.receive(requests)) is not None:
        incoming.put(request)
    os._exit(0)


def _resolve(function: str) -> Callable[..., Any]:
    module, _, name = function.partition(":")
    return getattr(importlib.import_module(module), name)


def portable(error: BaseException) -> BaseException:
    """The exception itself where the parent can surely rebuild it, else its text."""
    if isinstance(error, MemoryError):  # numpy raises a subclass of it that only numpy can rebuild
        return MemoryError(str(error))
    if type(error).__module__.partition(".")[0] in {"ncgopt", "builtins"} and not isinstance(error, SystemExit):
        try:
            if type(pickle.loads(pickle.dumps(error))) is type(error):
                return error
        except Exception as unpicklable:
            return RemoteError(f"{type(error).__name__}: {error} (not picklable: {unpicklable})")
    return RemoteError(f"{type(error).__name__}: {error}")
