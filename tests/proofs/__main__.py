"""`make proofs`: prove every rule anew, write the record, and say what is left to tests."""

from __future__ import annotations

import sys
import time
from collections import Counter

from ncgopt.runtime import Worker
from proofs.prove import TESTED
from proofs.record import RULE_BY_NAME, firing_cases, justify, prove_case, write


def main() -> None:
    """Write the record; with names of rules as arguments, show each of their cases instead."""
    with Worker() as worker:
        if len(sys.argv) > 1:
            for name in sys.argv[1:]:
                for case in firing_cases()[name]:
                    started = time.perf_counter()
                    outcome = prove_case(case, RULE_BY_NAME[name], worker)
                    seconds = time.perf_counter() - started
                    print(f"{case}: {outcome.kind} ({seconds:.1f} s) {'; '.join(outcome.laws)} {outcome.reason}")
            return
        found = {name: justify(RULE_BY_NAME[name], cases, worker) for name, cases in firing_cases().items()}
    write(found)
    total = sum((Counter(j.cases) for j in found.values()), Counter())
    print(", ".join(f"{kind} {n}" for kind, n in total.most_common()), f"of {total.total()} cases")
    for name, justification in found.items():
        if TESTED in justification.cases:
            print(f"{name}: {justification.summary}")


if __name__ == "__main__":
    main()
