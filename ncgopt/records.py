"""Frozen dataclasses that are made when their first instance is.

What `dataclasses` generates for a class takes most of a millisecond, and each rule has a class for its
matches. Of two hundred rules, a model needs a few: a third of the time that ncgopt took to start went into
methods that nobody called.
"""

from __future__ import annotations

import dataclasses
import threading
from typing import Any, TypeVar, cast, dataclass_transform

_T = TypeVar("_T")
_completing = threading.RLock()  # two threads may come first; reentrant, as completing a class may complete its base


@dataclass_transform(frozen_default=True, field_specifiers=(dataclasses.field,))
def record(cls: type[_T]) -> type[_T]:
    """The class as `dataclass(frozen=True)` makes it, from its first instance or subclass on.

    Instances come from `__new__`, whether they are called for or come out of a pickle, and only then does
    Python look for `__init__`: a thread that waits here for another to complete the class finds the right one.
    """
    pending = [cls]

    def complete() -> None:
        with _completing:
            if pending:
                dataclasses.dataclass(frozen=True)(cls)
                pending.clear()

    def __new__(made: type[Any], *_: object, **named: object) -> Any:  # noqa: N807 - it stands in for the method
        if pending:
            complete()
        return object.__new__(made)

    def __init_subclass__(subclass: type[Any], **named: object) -> None:  # noqa: N807 - as above
        complete()
        cast(Any, super(cls, subclass)).__init_subclass__(**named)

    methods: dict[str, object] = {"__new__": __new__, "__init_subclass__": classmethod(__init_subclass__)}
    for name, method in methods.items():
        setattr(cls, name, method)
    return cls
