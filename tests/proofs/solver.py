"""Questions to the solver: each in a context of its own and within a fixed budget, so that answers never vary."""

from __future__ import annotations

import z3

LIMIT = 10_000_000
"""What a question may cost, in the solver's own units: the same on every machine. The rules need up to 3.5 million."""


def ask(*facts: z3.BoolRef) -> tuple[z3.CheckSatResult, z3.ModelRef | None]:
    """Whether all `facts` can be true at once, and the values that make them so."""
    draft = z3.Solver()
    draft.add(*facts)
    context = z3.Context()
    solver = z3.Solver(ctx=context)
    solver.set("rlimit", LIMIT)
    solver.from_string(draft.sexpr())
    answer = solver.check()
    return answer, solver.model() if answer == z3.sat else None
