"""Every check there is, described for people and for formats."""

from __future__ import annotations

from collections.abc import Sequence

from ncgopt.lint.check import Check


def checks() -> Sequence[type[Check]]:
    """All checks, by code."""
    from ncgopt.lint.checks import CHECKS

    return sorted(CHECKS, key=lambda check: check.code)
