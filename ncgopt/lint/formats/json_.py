"""The findings as ncgopt's own JSON."""

from __future__ import annotations

from collections.abc import Sequence

from ncgopt.lint.finding import Checked
from ncgopt.report import SCHEMA_VERSION
from ncgopt.to_json import to_json


def json_text(checked: Sequence[Checked]) -> str:
    """One object; described in docs/report.md."""
    return to_json({"schema_version": SCHEMA_VERSION, "models": checked})
