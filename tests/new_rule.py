"""Start a rewrite rule: `make rule NAME=eliminate-mul-one SUBJECT=algebra ROOT=Mul`.

Writes the rule, its case file and its registry line. What it writes can be imported, passes ruff and pyright, and
changes nothing: the firing case fails until somebody fills in what the rule does.
"""

from __future__ import annotations

import argparse
import re
import subprocess
import sys
from pathlib import Path

from onnx import defs

TREE = Path(__file__).parents[1]
RULES = TREE / "ncgopt" / "rules"
CASES = TREE / "tests" / "cases"

RULE = '''\
"""Say in one line what is replaced by what."""

from __future__ import annotations

from collections.abc import Sequence

import onnx_ir as ir

from ncgopt.records import record
from ncgopt.rewrite import Claim, Requires, Rule, Tape


@record
class Match:
    """`out = {root}(x, ...)`: bind here whatever the guards and `build` need."""

    x: ir.Value
    out: ir.Value


class {pascal}(Rule[Match]):
    """`{root}(x, ...)` becomes `x`.

    Say why the result is the same, and which special values or shapes the guards are there for.
    """

    name = "{kebab}"
    claim = Claim.EXACT
    root = "{root}"
    since_opset = {since}
    requires = (Requires[Match]("name-what-must-hold", "say what goes wrong without it", lambda m: False),)

    def match(self, node: ir.Node) -> Match | None:
        """Say what is bound."""
        x = node.inputs[0]
        if x is None:
            return None
        return Match(x, node.outputs[0])

    def build(self, tape: Tape, m: Match) -> Sequence[ir.Value]:
        """Say what replaces it."""
        return [m.x]
'''

CASE = """\
# case: say what is special here
# fires
<ir_version: 10, opset_import: ["" : {opset}]>
g (float[N] x) => (float[N] y) {{ t = {root}({inputs})  y = Neg(t) }}
# output
<ir_version: 10, opset_import: ["" : {opset}]>
g (float[N] x) => (float[N] y) {{ y = Neg(x) }}
# ---
# case: say what goes wrong without the guard
# refuses: name-what-must-hold
<ir_version: 10, opset_import: ["" : {opset}]>
g (float[N] x) => (float[N] y) {{ t = {root}({inputs})  y = Neg(t) }}
"""

OPSET = 21


def fill(kebab: str, root: str) -> tuple[str, str]:
    """Return the text of the rule and of its case file; `defs.SchemaError` for an operator ONNX does not have."""
    schema = defs.get_schema(root, OPSET)
    inputs = ", ".join(["x"] * max(schema.min_input, 1))
    pascal = "".join(part.capitalize() for part in kebab.split("-"))
    rule = RULE.format(kebab=kebab, pascal=pascal, root=root, since=schema.since_version)
    return rule, CASE.format(root=root, inputs=inputs, opset=OPSET)


def register(text: str, subject: str, kebab: str) -> str:
    """Return a subject's `__init__.py` with the rule imported and put last in its `RULES`."""
    snake = kebab.replace("-", "_")
    pascal = "".join(part.capitalize() for part in kebab.split("-"))
    start = text.index("\nRULES: ")
    end = text.rindex(")")
    listed = text[start:end].rstrip().rstrip(",")
    comma = "" if listed.endswith("(") else ","
    line = f"from ncgopt.rules.{subject}.{snake} import {pascal}\n"
    return f"{text[:start].rstrip()}\n{line}{listed}{comma} {pascal}(),{text[end:]}"


def main() -> None:
    """Read the command line and write the files; exit 2 with one line where the request makes no sense."""
    parser = argparse.ArgumentParser(description="Start a rewrite rule.")
    parser.add_argument("name", help="in kebab case: eliminate-*, fuse-*, fold-*, merge-*, replace-* or reorder-*")
    parser.add_argument("--subject", required=True, help="folder in ncgopt/rules/")
    parser.add_argument("--root", required=True, help="operator that the pattern ends in")
    options = parser.parse_args()

    subjects = sorted(p.parent.name for p in RULES.glob("*/__init__.py"))
    if not re.fullmatch(r"[a-z]+(-[a-z0-9]+)+", options.name):
        parser.error(f"{options.name}: a name is kebab case and begins with a verb, like eliminate-mul-one")
    if options.subject not in subjects:
        parser.error(f"no subject {options.subject}; there are {', '.join(subjects)}")
    if not defs.has(options.root, OPSET):
        parser.error(f"ONNX has no operator {options.root}")
    snake = options.name.replace("-", "_")
    rule, case = RULES / options.subject / f"{snake}.py", CASES / f"{snake}.txt"
    for path in (rule, case):
        if path.exists():
            parser.error(f"{path.relative_to(TREE)} exists")

    rule_text, case_text = fill(options.name, options.root)
    rule.write_text(rule_text)
    case.write_text(case_text)
    registry = rule.with_name("__init__.py")
    registry.write_text(register(registry.read_text(), options.subject, options.name))
    for command in (["check", "--fix", "--quiet"], ["format", "--quiet"]):
        subprocess.run([sys.executable, "-m", "ruff", *command, rule, registry], check=True)
    print(f"wrote {rule.relative_to(TREE)}, {case.relative_to(TREE)} and a line in {registry.relative_to(TREE)}")
    print(f"fill them in, then: .venv/bin/python -m pytest tests/test_*.py -k {options.name}")


if __name__ == "__main__":
    main()
