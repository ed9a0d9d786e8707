"""Every check there is, described for people and for formats."""

from __future__ import annotations

from collections.abc import Sequence

from ncgopt import plugins
from ncgopt.lint.check import Check


def checks() -> Sequence[type[Check]]:
    """All checks, those of plugins included, by code.

    Raises:
        Unavailable: a plugin cannot be used.
    """
    from ncgopt.lint.checks import CHECKS

    found = (*CHECKS, *plugins.checks(Check, (check.code for check in CHECKS)))
    return sorted(found, key=lambda check: check.code)
