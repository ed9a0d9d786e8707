"""Reading the case files in `tests/cases/`: one file per rule or pass, sections divided by `# ---`."""

from __future__ import annotations

import json
import re
from dataclasses import dataclass, field
from pathlib import Path

CASES = Path(__file__).parent / "cases"


@dataclass(frozen=True)
class Case:
    """One section of a case file.

    `verdict` is `fires`, `refuses` (then `guard` names the guard) or `ignores`. `target`, `options`
    (of a pass, as JSON) and `bit_equal` (demand bit equality on feeds of small integers, although the
    claim allows rounding) come from header lines of the same names.
    """

    subject: str
    title: str
    verdict: str
    guard: str
    source: str
    golden: str
    target: str = "onnx"
    options: dict[str, object] = field(default_factory=dict)
    bit_equal: bool = False

    def __str__(self) -> str:
        return f"{self.subject}: {self.title}"


_HEADER = re.compile(r"^# (case|fires|refuses|ignores|target|options|bit-equal|output)(?:: (.*))?$")


def read_cases(path: Path) -> list[Case]:
    """All sections of one file; a line that is neither model text nor a known header is an error."""
    sections = re.split(r"^# ---$", path.read_text(), flags=re.MULTILINE)
    return [_read_section(path.stem.replace("_", "-"), section.strip().splitlines()) for section in sections]


def _read_section(subject: str, lines: list[str]) -> Case:
    headers: dict[str, str] = {}
    texts: dict[str, list[str]] = {"source": [], "golden": []}
    where = "source"
    for line in lines:
        if not line.startswith("#"):
            texts[where].append(line)
            continue
        found = _HEADER.match(line)
        if found is None:
            raise ValueError(f"{subject}: no header of a case file: {line!r}")
        if found[1] == "output":
            where = "golden"
        else:
            headers[found[1]] = found[2] or ""
    verdicts = [v for v in ("fires", "refuses", "ignores") if v in headers]
    if len(verdicts) != 1 or "case" not in headers:
        raise ValueError(f"{subject}: a section needs `# case: TITLE` and one of fires, refuses: GUARD, ignores")
    golden = "\n".join(texts["golden"])
    if (verdicts[0] == "fires") != bool(golden.strip()):
        raise ValueError(f"{subject}, {headers['case']}: exactly the firing cases have an `# output`")
    return Case(
        subject,
        headers["case"],
        verdicts[0],
        headers.get("refuses", ""),
        "\n".join(texts["source"]),
        golden,
        headers.get("target", "onnx"),
        json.loads(headers.get("options", "{}")),
        "bit-equal" in headers,
    )


def all_cases() -> list[Case]:
    """Every case of every file, in order."""
    return [case for path in sorted(CASES.glob("*.txt")) for case in read_cases(path)]
