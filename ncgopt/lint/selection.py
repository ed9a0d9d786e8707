"""Which checks run, from codes, beginnings of codes, and names."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from ncgopt.configuration import suggestion
from ncgopt.errors import Usage
from ncgopt.lint.catalog import checks
from ncgopt.lint.check import Check
from ncgopt.lint.settings import CheckSettings


def selected(settings: CheckSettings) -> tuple[Check, ...]:
    """The checks that run, by code.

    Raises:
        Usage: something that was selected or ignored names no check.
    """
    known = checks()
    wanted = _named(settings.select, known) if settings.select else list(known)
    unwanted = _named(settings.ignore, known)
    return tuple(one() for one in known if one in wanted and one not in unwanted)


def _named(words: Iterable[str], known: Sequence[type[Check]]) -> list[type[Check]]:
    found: list[type[Check]] = []
    for word in words:
        matching = [one for one in known if one.name == word or one.code.startswith(word.upper())]
        if not word or not matching:
            names = [*(one.code for one in known), *(one.name for one in known)]
            raise Usage(f"no check is called {word!r}{suggestion(word, names) or '; `ncgopt check --list` lists them'}")
        found += matching
    return found
