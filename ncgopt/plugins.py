"""Rules, passes and checks of other packages, found by their entry points.

A package that declares

    [project.entry-points."ncgopt.rules"]
    mine = "my_package.rules:RULES"

adds what `RULES` holds: one rule, or several. Groups are `ncgopt.rules`, `ncgopt.passes` and `ncgopt.checks`. What
comes from there is held to the same: a rule without a claim or a guard cannot be made, the engine checks what it
builds, and results are verified, so that an unsound one is found, left out and named. `NCGOPT_NO_PLUGINS=1` leaves all
of them out.
"""

from __future__ import annotations

import functools
import importlib.util
import os
import re
from collections.abc import Callable, Iterable, Iterator, Sequence
from importlib.metadata import EntryPoint, entry_points
from typing import Any, TypeVar, cast

from ncgopt.errors import Unavailable

RULES, PASSES, CHECKS = "ncgopt.rules", "ncgopt.passes", "ncgopt.checks"
_SWITCH = "NCGOPT_NO_PLUGINS"
_T = TypeVar("_T")


def rules(known: Iterable[str]) -> Sequence[Any]:
    """Rules of plugins, as instances, in the order of their packages' names.

    Args:
        known: names that are taken.

    Raises:
        Unavailable: a plugin cannot be loaded, or is no rule, or takes a name that is taken.
    """
    from ncgopt.rewrite.rule import Rule

    found = [(entry, one() if isinstance(one, type) else one) for entry, one in _loaded(RULES)]
    named = [(entry, one, getattr(one, "name", "")) for entry, one in found]
    return _checked(named, "rule", known, lambda one: isinstance(one, Rule))


def passes(known: Iterable[str]) -> Sequence[type[Any]]:
    """Passes of plugins, as classes; raises as `rules`."""
    from ncgopt.passes.base import Pass

    found = [(entry, one, getattr(one, "name", "")) for entry, one in _loaded(PASSES)]
    return _checked(found, "pass", known, lambda one: isinstance(one, type) and issubclass(one, Pass))


def checks(base: type[_T], known: Iterable[str]) -> Sequence[type[_T]]:
    """Checks of plugins, as subclasses of `base`; raises as `rules`, and for codes that begin as our own do."""
    found = [(entry, one, getattr(one, "code", "")) for entry, one in _loaded(CHECKS)]
    for entry, _, code in found:
        if code.startswith("NCG") or not re.fullmatch(r"[A-Z]{2,8}\d{3}", code):
            raise _refused(entry, f"the code {code!r} is not letters of its own (not NCG) and three digits")
    return _checked(found, "check", known, lambda one: isinstance(one, type) and issubclass(one, base))


def origin(kind: type[Any]) -> str:
    """The package that a rule, pass or check of this class comes from; empty for ncgopt's own."""
    top = kind.__module__.split(".")[0]
    return "" if top == "ncgopt" else top


def state() -> tuple[str, ...]:
    """What results depend on as far as plugins go: their packages' versions, and the files they begin in.

    Nothing is imported but packages around the modules that entry points name. Of a package that is installed to be
    worked on, only the file counts that an entry point names.
    """
    return tuple(_state_of(entry) for group in (RULES, PASSES, CHECKS) for entry in _entries(group))


def _state_of(entry: EntryPoint) -> str:
    package = f"{entry.dist.name} {entry.dist.version}" if entry.dist is not None else ""
    try:
        spec = importlib.util.find_spec(entry.module)
        status = os.stat(spec.origin) if spec is not None and spec.origin else None
    except Exception:  # a package around the module is imported, which may raise anything; loading it says what
        status = None
    file = f"{status.st_size} {status.st_mtime_ns}" if status is not None else ""
    return f"{entry.group} {entry.name}={entry.value} {package} {file}"


@functools.cache
def _entries(group: str) -> tuple[EntryPoint, ...]:
    if os.environ.get(_SWITCH, "") not in ("", "0"):
        return ()
    found = entry_points(group=group)
    return tuple(sorted(found, key=lambda entry: (entry.dist.name if entry.dist is not None else "", entry.name)))


@functools.cache
def _loaded(group: str) -> tuple[tuple[EntryPoint, Any], ...]:
    return tuple((entry, one) for entry in _entries(group) for one in _load(entry))


def _load(entry: EntryPoint) -> Iterator[Any]:
    try:
        found: object = entry.load()
    except Exception as error:
        raise _refused(entry, f"{type(error).__name__}: {error}") from error
    if isinstance(found, (list, tuple)):
        yield from cast("Sequence[object]", found)
    else:
        yield found


def _checked(
    found: Sequence[tuple[EntryPoint, Any, str]], what: str, known: Iterable[str], is_one: Callable[[object], bool]
) -> list[Any]:
    taken = set(known)
    for entry, one, name in found:
        if not is_one(one):
            raise _refused(entry, f"{one!r} is no {what}")
        if name in taken:
            raise _refused(entry, f"there is another {what} called {name!r}")
        taken.add(name)
    return [one for _, one, _ in found]


def _refused(entry: EntryPoint, why: str) -> Unavailable:
    package = f" of {entry.dist.name}" if entry.dist is not None else ""
    return Unavailable(
        f"the plugin {entry.name}{package} ({entry.value}) cannot be used: {' '.join(why.split())}; "
        f"mend or uninstall it, or leave plugins out with {_SWITCH}=1"
    )
