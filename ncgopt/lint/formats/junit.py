"""JUnit XML, which GitLab, Jenkins and most other servers show as test results: one suite per model."""

from __future__ import annotations

import re
from collections.abc import Sequence
from xml.etree import ElementTree

from ncgopt.lint.finding import Checked, Severity

_FORBIDDEN = re.compile("[^\t\n\r\u0020-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")


def junit(checked: Sequence[Checked]) -> str:
    """One document. A model without findings is a test that passed; notes are output of a test that passed."""
    root = ElementTree.Element("testsuites", name="ncgopt check")
    for one in checked:
        name = _clean(one.model.as_posix())
        failing = [finding for finding in one.findings if finding.level > Severity.NOTE]
        notes = [finding.text for finding in one.findings if finding.level == Severity.NOTE]
        tests = max(1, len(failing) + bool(one.error))
        suite = ElementTree.SubElement(
            root, "testsuite", name=name, tests=str(tests), failures=str(len(failing)), errors=str(int(bool(one.error)))
        )
        if one.error:
            case = ElementTree.SubElement(suite, "testcase", classname=name, name="ncgopt check")
            ElementTree.SubElement(case, "error", message=_clean(one.error))
        for finding in failing:
            title = _clean(f"{finding.code} {finding.kind} {finding.name}".strip())
            case = ElementTree.SubElement(suite, "testcase", classname=name, name=title)
            ElementTree.SubElement(case, "failure", type=finding.severity, message=_clean(finding.text))
        if not failing and not one.error:
            ElementTree.SubElement(suite, "testcase", classname=name, name="ncgopt check")
        if notes:
            ElementTree.SubElement(suite, "system-out").text = _clean("\n".join(notes))
    ElementTree.indent(root)
    return '<?xml version="1.0" encoding="UTF-8"?>\n' + ElementTree.tostring(root, encoding="unicode")


def _clean(text: str) -> str:
    """Names in models may hold what XML cannot."""
    return _FORBIDDEN.sub("\ufffd", text)
