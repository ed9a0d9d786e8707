"""The pass that lets the engine apply a list of rules."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from typing import Any

import onnx_ir as ir

from ncgopt.passes.base import Pass
from ncgopt.rewrite.engine import Engine
from ncgopt.rewrite.rule import Claim, Rule
from ncgopt.rewrite.session import Session
from ncgopt.settings import Target


@dataclass(frozen=True)
class ApplyRules(Pass):
    """Apply local rewrites, each at every node where it matches, until none fires any more."""

    name = "rules"
    claim = Claim.ROUNDS  # of the weakest rule it may be given; rules are selected one by one

    rules: tuple[Rule[Any], ...] = ()
    target: Target = Target.ONNX
    fired: Counter[str] = field(default_factory=Counter[str], compare=False)

    def run(self, model: ir.Model, session: Session) -> int:
        """Run the engine; `fired` holds how often each rule fired in the last run."""
        self.fired.clear()
        self.fired.update(Engine(self.rules, self.target).run(model))
        return self.fired.total()
