"""Workflow commands of GitHub Actions, which shows them at the files of a pull request.

https://docs.github.com/actions/reference/workflow-commands-for-github-actions
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from ncgopt.lint.finding import Checked

_COMMANDS = {"note": "notice", "warning": "warning", "error": "error"}


def github(checked: Sequence[Checked]) -> str:
    """One line per finding."""
    return "\n".join(_lines(checked))


def _lines(checked: Sequence[Checked]) -> Iterator[str]:
    for one in checked:
        file = _property(one.model.as_posix())
        for finding in one.findings:
            title = _property(f"{finding.code} {finding.kind}")
            yield f"::{_COMMANDS[finding.severity]} file={file},title={title}::{_message(finding.text)}"
        if one.error:
            yield f"::error file={file},title=ncgopt::{_message(one.error)}"


def _message(text: str) -> str:
    return text.replace("%", "%25").replace("\r", "%0D").replace("\n", "%0A")


def _property(text: str) -> str:
    return _message(text).replace(":", "%3A").replace(",", "%2C")
