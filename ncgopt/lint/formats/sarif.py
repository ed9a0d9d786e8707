"""SARIF 2.1.0, the format of code scanning (https://docs.oasis-open.org/sarif/sarif/v2.1.0/)."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Sequence
from importlib.metadata import version
from pathlib import Path
from urllib.parse import quote

from ncgopt.lint.catalog import checks
from ncgopt.lint.check import Check
from ncgopt.lint.finding import Checked, Finding
from ncgopt.to_json import to_json

_SCHEMA = "https://json.schemastore.org/sarif-2.1.0.json"


def sarif(checked: Sequence[Checked]) -> str:
    """One log with one run; models that could not be looked at are notifications of that run."""
    known = list(checks())
    index = {check.code: position for position, check in enumerate(known)}
    errors = [one for one in checked if one.error]
    run = {
        "tool": {
            "driver": {
                "name": "ncgopt",
                "version": version("ncgopt"),
                "rules": [_rule(check) for check in known],
            }
        },
        "columnKind": "unicodeCodePoints",
        "invocations": [
            {
                "executionSuccessful": not errors,
                "toolExecutionNotifications": [
                    {"level": "error", "message": {"text": one.error}, "locations": [_location(one.model)]}
                    for one in errors
                ],
            }
        ],
        "results": [_result(one.model, finding, index) for one in checked for finding in one.findings],
    }
    return to_json({"$schema": _SCHEMA, "version": "2.1.0", "runs": [run]})


def _rule(check: type[Check]) -> dict[str, object]:
    return {
        "id": check.code,
        "name": "".join(part.capitalize() for part in check.name.split("-")),
        "shortDescription": {"text": check.summary()},
        "fullDescription": {"text": check.page()},
        "help": {"text": check.page(), "markdown": check.page()},
        "defaultConfiguration": {"level": check.severity.label},
        "properties": {"tags": ["onnx", check.name]},
    }


def _result(model: Path, finding: Finding, index: dict[str, int]) -> dict[str, object]:
    identity = f"{_placed(model).as_posix()}\n{finding.code}\n{finding.name}"
    return {
        "ruleId": finding.code,
        "ruleIndex": index[finding.code],
        "level": finding.severity,
        "message": {"text": finding.text},
        "locations": [_location(model)],
        "occurrenceCount": finding.count,
        "partialFingerprints": {
            "ncgopt/v1": hashlib.sha256(identity.encode(errors="backslashreplace")).hexdigest()[:32]
        },
    }


def _placed(model: Path) -> Path:
    """Seen from the working directory where it is below that: the same on every machine, and what services map."""
    whole, here = Path(os.path.abspath(model)), Path.cwd()
    if whole.is_relative_to(here):
        return whole.relative_to(here)
    return whole if model.is_absolute() else model


def _location(model: Path) -> dict[str, object]:
    """A model is binary: code scanning wants a line all the same."""
    place = _placed(model)
    uri = place.as_uri() if place.is_absolute() else quote(os.fsencode(place.as_posix()))
    return {"physicalLocation": {"artifactLocation": {"uri": uri}, "region": {"startLine": 1}}}
