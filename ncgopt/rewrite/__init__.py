"""How rules are applied: what a rule is, and the engine, the only thing that changes a graph for one."""

from ncgopt.rewrite.engine import Engine
from ncgopt.rewrite.rule import Claim, Pays, Requires, Rule
from ncgopt.rewrite.session import Session
from ncgopt.rewrite.tape import Tape

__all__ = ["Claim", "Engine", "Pays", "Requires", "Rule", "Session", "Tape"]
