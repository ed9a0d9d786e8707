"""What the child is doing right now, so that a crash can be attributed to it."""

from __future__ import annotations

from collections.abc import Callable

_listeners: list[Callable[[str], None]] = []


def stage(doing: str) -> None:
    """Announce what happens next, as it would be quoted: `"running the result at batch=3"`.

    Outside a child process nobody listens and nothing happens, so library code may call this
    wherever native code is about to run.
    """
    for listener in _listeners:
        listener(doing)


def listen(listener: Callable[[str], None]) -> None:
    """Have `listener` called with every stage from now on; the child's main loop does this once."""
    _listeners.append(listener)
