"""The record of how each rule was shown: what the proofs give now, and where that is kept."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Mapping

import onnx
from case_file import Case, all_cases

from ncgopt import model as models
from ncgopt.passes.apply_rules import ApplyRules
from ncgopt.rewrite import Rule, Session
from ncgopt.rules import RULES
from ncgopt.rules.justification import RECORD, Justification
from ncgopt.runtime import Worker
from ncgopt.settings import Target
from proofs.prove import KINDS, Outcome, prove

RULE_BY_NAME = {rule.name: rule for rule in RULES}


def firing_cases() -> Mapping[str, list[Case]]:
    """The firing cases of each rule."""
    found: dict[str, list[Case]] = {rule.name: [] for rule in RULES}
    for case in all_cases():
        if case.verdict == "fires" and case.subject in found:
            found[case.subject].append(case)
    return found


def prove_case(case: Case, rule: Rule, worker: Worker) -> Outcome:
    """Prove that what the rule makes of the case is the same.

    Raises:
        Refuted: it is not.
    """
    before = onnx.parser.parse_model(case.source)
    model = models.from_proto(before).model
    Session(model, worker=worker)
    ApplyRules(rules=(rule,), target=Target(case.target))(model)
    return prove(before, models.to_proto(model), rule.claim)


def justify(rule: Rule, cases: list[Case], worker: Worker) -> Justification:
    """What the proofs give for a rule."""
    outcomes = [prove_case(case, rule, worker) for case in cases]
    counted = Counter(outcome.kind for outcome in outcomes)
    laws = sorted({law for outcome in outcomes for law in outcome.laws})
    return Justification(
        {kind: counted[kind] for kind in KINDS if counted[kind]}, tuple(laws), sum(case.bit_equal for case in cases)
    )


def write(found: Mapping[str, Justification]) -> None:
    """Keep the record, a line per rule."""
    lines = []
    for name in sorted(found):
        entry: dict[str, object] = {"cases": found[name].cases}
        if found[name].laws:
            entry["laws"] = found[name].laws
        if found[name].integers:
            entry["integers"] = found[name].integers
        lines.append(f"  {json.dumps(name)}: {json.dumps(entry, ensure_ascii=False)}")
    RECORD.write_text("{\n" + ",\n".join(lines) + "\n}\n", encoding="utf-8")
