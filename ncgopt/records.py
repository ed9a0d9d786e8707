"""Frozen dataclasses that are made when their first instance is.

What `dataclasses` generates for a class takes most of a millisecond, and each rule has a class for its
matches. Of two hundred rules, a model needs a few: a third of the time that ncgopt took to start went into
methods that nobody called.
"""

from __future__ import annotations

import dataclasses
from typing import Any, TypeVar, cast, dataclass_transform

_T = TypeVar("_T")


@dataclass_transform(frozen_default=True, field_specifiers=(dataclasses.field,))
def record(cls: type[_T]) -> type[_T]:
    """The class as `dataclass(frozen=True)` makes it, from its first instance or subclass on."""

    def complete() -> None:
        for name in stubs:
            delattr(cls, name)
        stubs.clear()
        dataclasses.dataclass(frozen=True)(cls)

    def __init__(self: Any, *args: object, **named: object) -> None:  # noqa: N807 - it stands in for the method
        complete()
        self.__init__(*args, **named)

    def __init_subclass__(subclass: type[Any], **named: object) -> None:  # noqa: N807 - as above
        complete()
        cast(Any, super(cls, subclass)).__init_subclass__(**named)

    def __setstate__(self: Any, state: dict[str, object]) -> None:  # noqa: N807 - as above
        # The first instance may come out of a pickle, from another process, which calls no __init__.
        complete()
        self.__dict__.update(state)

    stubs: dict[str, object] = {
        "__init__": __init__, "__init_subclass__": classmethod(__init_subclass__), "__setstate__": __setstate__,
    }  # fmt: skip
    for name, stub in stubs.items():
        setattr(cls, name, stub)
    return cls
