"""Findings that are known and may stay, so that an old model base can adopt `check` for what is new.

A JSON file: per model (path from the file's own folder) and finding, how often it occurs. What a finding says is no
part of it: messages name the first place, which any change moves.
"""

from __future__ import annotations

import contextlib
import dataclasses
import json
import os
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import cast

from ncgopt.errors import CannotWrite, InputUnreadable
from ncgopt.lint.finding import Checked, Finding

_VERSION = 1

Known = Mapping[str, Mapping[str, int]]
"""Per model, how often each finding may occur."""


def read(path: Path) -> Known:
    """What the file at `path` knows.

    Raises:
        InputUnreadable: it is missing, or no such file.
    """
    try:
        data: object = json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise InputUnreadable(f"{path}: no such baseline; --update-baseline writes it") from None
    except (OSError, ValueError) as error:
        raise InputUnreadable(f"{path} cannot be read as a baseline: {error}") from error
    whole = cast("dict[str, object]", data) if isinstance(data, dict) else {}
    models = whole.get("models")
    if whole.get("version") == _VERSION and isinstance(models, dict):
        found = cast("dict[str, object]", models)
        if all(_is_counts(one) for one in found.values()):
            return cast("Known", found)
    raise InputUnreadable(f"{path} is no baseline of this version of ncgopt; --update-baseline writes it anew")


def write(path: Path, checked: Iterable[Checked]) -> None:
    """Write all findings as known; models that could not be looked at are left out.

    Raises:
        CannotWrite: the file cannot be written.
    """
    models = {_name(one.model, path): dict(sorted(_counts(one.findings).items())) for one in checked if one.findings}
    text = json.dumps({"version": _VERSION, "models": dict(sorted(models.items()))}, indent=2)
    beside = path.absolute().parent / f".baseline.{os.getpid()}.tmp"
    try:
        beside.write_text(text + "\n", encoding="utf-8")
        beside.replace(path)
    except OSError as error:
        with contextlib.suppress(OSError):
            beside.unlink()
        raise CannotWrite(f"{path}: {error.strerror or error}") from error


def without_known(checked: Checked, known: Known, path: Path) -> Checked:
    """What is left of the findings: those that the baseline at `path` does not have, or not that often."""
    allowed = Counter(known.get(_name(checked.model, path), {}))
    left: list[Finding] = []
    for finding in checked.findings:
        key = _key(finding)
        if finding.count > allowed[key]:
            left.append(finding)
        allowed[key] -= finding.count
    return dataclasses.replace(checked, findings=tuple(left), suppressed=len(checked.findings) - len(left))


def _key(finding: Finding) -> str:
    return f"{finding.code} {finding.name}".strip()


def _counts(findings: Sequence[Finding]) -> Counter[str]:
    counts: Counter[str] = Counter()
    for finding in findings:
        counts[_key(finding)] += finding.count
    return counts


def _name(model: Path, baseline: Path) -> str:
    """Where the model is, seen from the baseline's folder: the same on every machine."""
    return Path(os.path.relpath(model.absolute(), baseline.absolute().parent)).as_posix()


def _is_counts(value: object) -> bool:
    return isinstance(value, dict) and all(type(count) is int for count in cast("dict[str, object]", value).values())
