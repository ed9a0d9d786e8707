"""What `check` found, as text that other programs read."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

from ncgopt.lint.finding import Checked
from ncgopt.lint.formats.github import github
from ncgopt.lint.formats.json_ import json_text
from ncgopt.lint.formats.junit import junit
from ncgopt.lint.formats.sarif import sarif

FORMATS: Mapping[str, Callable[[Sequence[Checked]], str]] = {
    "json": json_text,
    "sarif": sarif,
    "github": github,
    "junit": junit,
}

__all__ = ["FORMATS"]
