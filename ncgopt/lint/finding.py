"""What a check says about a model: plain data, fit for any format and for a cache."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from dataclasses import dataclass
from enum import IntEnum
from pathlib import Path
from typing import Literal, cast

Fix = Literal["", "optimize", "rewrite"]
"""How a finding can be mended: by `optimize`, by writing the file anew without changing what it computes, or not."""


class Severity(IntEnum):
    """How bad a finding is: whether `check` fails for it by default begins at `WARNING`."""

    NOTE = 1
    WARNING = 2
    ERROR = 3

    @property
    def label(self) -> str:
        """As options and formats write it."""
        return self.name.lower()


_LABELS = tuple(severity.label for severity in Severity)


@dataclass(frozen=True)
class Finding:
    """One thing that is wrong with a model or could be better.

    Attributes:
        kind: name of the check, `rewrite` or `nan-weights`.
        name: what in the model it is about (a pass, a rule, a value ...); empty where it is the whole.
        count: how often.
        message: one line; where it occurs for the first time.
        code: code of the check, `NCG001`.
        severity: `note`, `warning` or `error`.
        fix: how `--fix` mends it; empty where it cannot.
    """

    kind: str
    name: str
    count: int
    message: str
    code: str = ""
    severity: str = "warning"
    fix: Fix = ""

    @property
    def level(self) -> Severity:
        """The severity as something that can be compared."""
        return Severity[self.severity.upper()]

    @property
    def text(self) -> str:
        """Everything but the model's name, in one line."""
        name = f"{self.name}: " if self.name else ""
        times = f"{self.count} times, first at " if self.count > 1 else ""
        return f"{self.kind}: {name}{times}{self.message}"


@dataclass(frozen=True)
class Gain:
    """What `optimize` would make of the model.

    Attributes:
        nodes_before, nodes_after: nodes, without `Constant`.
        bytes_before, bytes_after: bytes of weights.
    """

    nodes_before: int
    nodes_after: int
    bytes_before: int
    bytes_after: int

    @property
    def text(self) -> str:
        """Both, as far as they change: `12 of 30 nodes and 1.2 kB of 5 kB would go`."""
        from ncgopt.bytesize import size_text

        parts: list[str] = []
        if self.nodes_before != self.nodes_after:
            parts.append(f"{self.nodes_before} -> {self.nodes_after} nodes")
        if self.bytes_before != self.bytes_after:
            parts.append(f"{size_text(self.bytes_before)} -> {size_text(self.bytes_after)} of weights")
        return ", ".join(parts)


@dataclass(frozen=True)
class Checked:
    """The findings of one model; `error` says why it could not be looked at, `exit_code` is that error's.

    Attributes:
        gain: what `optimize` would make of it; None where that was not looked for, or is nothing.
        suppressed: findings that a baseline knows, and that are left out of `findings`.
    """

    model: Path
    findings: tuple[Finding, ...] = ()
    error: str = ""
    gain: Gain | None = None
    suppressed: int = 0
    exit_code: int = 0


def to_data(checked: Checked) -> dict[str, object]:
    """What of it a cache keeps: all that depends on nothing but the model's content."""
    return {
        "findings": [dataclasses.asdict(one) for one in checked.findings],
        "gain": None if checked.gain is None else dataclasses.asdict(checked.gain),
    }


def from_data(model: Path, data: object) -> Checked | None:
    """The reverse of `to_data`; None for anything else."""
    values = _mapping(data)
    entries = values.get("findings")
    if not isinstance(entries, list):
        return None
    findings = [_finding(_mapping(one)) for one in cast("list[object]", entries)]
    known = tuple(one for one in findings if one is not None)
    return Checked(model, known, gain=_gain(_mapping(values.get("gain")))) if len(known) == len(findings) else None


def _mapping(data: object) -> Mapping[str, object]:
    return cast("Mapping[str, object]", data) if isinstance(data, dict) else {}


def _finding(values: Mapping[str, object]) -> Finding | None:
    texts = [values.get(name) for name in ("kind", "name", "message", "code", "severity")]
    kind, name, message, code, severity = (text if isinstance(text, str) else None for text in texts)
    count, fix = values.get("count"), values.get("fix")
    if kind is None or name is None or message is None or code is None or not isinstance(count, int):
        return None
    if severity not in _LABELS or fix not in ("", "optimize", "rewrite"):
        return None
    return Finding(kind, name, count, message, code, severity, fix)


def _gain(values: Mapping[str, object]) -> Gain | None:
    numbers = [values.get(field.name) for field in dataclasses.fields(Gain)]
    whole = [number for number in numbers if isinstance(number, int)]
    return Gain(*whole) if len(whole) == len(numbers) else None
