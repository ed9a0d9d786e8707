"""`python -m ncgopt.docs FOLDER`: what docs/ holds that the code says itself."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator, Mapping
from itertools import groupby
from pathlib import Path

from ncgopt.lint.catalog import checks
from ncgopt.pipeline.catalog import CatalogEntry, catalog
from ncgopt.pipeline.presets import PRESETS
from ncgopt.plugins import origin
from ncgopt.rules.justification import KINDS, MEANING
from ncgopt.schema import report_schema

_GENERATED = "<!-- Written by `make docs` from the docstrings in the code; edit those instead. -->"


def pages() -> Mapping[str, str]:
    """Contents per file name."""
    entries = [entry for entry in catalog() if not entry.plugin]
    return {
        "rules.md": "\n".join(_rules([e for e in entries if e.kind == "rule"])),
        "passes.md": "\n".join(_passes([e for e in entries if e.kind == "pass"])),
        "checks.md": "\n".join(_checks()),
        "report.schema.json": json.dumps(report_schema(), indent=1),
    }


def _rules(entries: list[CatalogEntry]) -> Iterator[str]:
    yield f"# Rules\n\n{_GENERATED}\n"
    yield "A rule is a local rewrite. It fires where its pattern matches and every guard holds. *Requires* guards are"
    yield "needed for correct results, *pays* guards only for profit. Claims: EXACT is bit for bit, ROUNDS is the same"
    yield "real number rounded otherwise.\n"
    yield "*Shown by* says how a rule was justified, for each of its firing cases in `tests/cases`, at the sizes of the"
    yield "case and, where dimensions are symbolic, at several. `make proofs` proves everything anew. The kinds:\n"
    yield from (f"- **{KINDS[kind]}**: {meaning}." for kind, meaning in MEANING.items())
    yield ""
    for subject, group in groupby(entries, key=lambda e: e.subject):
        yield f"## {subject}\n"
        for entry in group:
            yield f"### {entry.name}\n\n{entry.doc}\n"
            targets = "any" if len(entry.targets) > 1 else f"only `{', '.join(entry.targets)}`"
            yield f"Claim: {entry.claim}. Target: {targets}.\n"
            if entry.justified:
                yield f"Shown by: {entry.justified}.\n"
            if entry.guards:
                yield "| guard | kind | without it |\n|---|---|---|"
                yield from (f"| `{g.name}` | {g.kind} | {g.reason} |" for g in entry.guards)
                yield ""
            if entry.by_request:
                yield f"Not part of any preset, ask for it with `--passes default,{entry.name}`: {entry.by_request}\n"
            if entry.unconditional:
                yield f"Needs no guard for soundness: {entry.unconditional}\n"


def _passes(entries: list[CatalogEntry]) -> Iterator[str]:
    yield f"# Passes\n\n{_GENERATED}\n"
    yield "A pass looks at the whole graph. `--set PASS.OPTION=VALUE` sets an option, `--skip` leaves a pass out.\n"
    yield "## Presets\n"
    for preset, names in PRESETS.items():
        yield f"- `{preset}`: {', '.join(f'`{n}`' for n in names) if names else 'nothing'}"
    yield "\n`rules` stands for all [rules](rules.md), applied together."
    yield "`exact` leaves out everything that is not EXACT.\n"
    for entry in entries:
        yield f"## {entry.name}\n\n{entry.doc}\n"
        yield f"Claim: {entry.claim}. Presets: {', '.join(entry.presets) or 'none, ask for it with `--passes`'}.\n"
        if entry.options:
            yield "| option | type | default | |\n|---|---|---|---|"
            yield from (f"| `{o.name}` | {o.type} | {o.default!r} | {o.help} |" for o in entry.options)
            yield ""


def _checks() -> Iterator[str]:
    yield f"# Checks\n\n{_GENERATED}\n"
    yield "What [`ncgopt check`](checking.md) looks for. Codes stay with their checks; `--select` and `--ignore`"
    yield "take codes, beginnings of codes and names. Notes do not make `check` fail unless `--fail-on note` says so.\n"
    yield "| code | name | severity | `--fix` | |\n|---|---|---|---|---|"
    own = [check for check in checks() if not origin(check)]
    for check in own:
        link = f"[{check.code}](#{check.code.lower()}-{check.name})"
        fix = {"": "", "optimize": "optimizes", "rewrite": "rewrites"}[check.fix]
        yield f"| {link} | `{check.name}` | {check.severity.label} | {fix} | {check.summary()} |"
    yield ""
    yield from (f"## {check.code} {check.name}\n\n{check.page()}\n" for check in own)


def main() -> None:
    """Write the pages into the folder named on the command line."""
    folder = Path(sys.argv[1] if len(sys.argv) > 1 else "docs")
    folder.mkdir(exist_ok=True)
    for name, text in pages().items():
        (folder / name).write_text(text.rstrip("\n") + "\n")


if __name__ == "__main__":
    main()
