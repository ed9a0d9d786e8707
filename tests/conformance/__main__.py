"""Every case of onnx's backend test suite, optimized for each target: `make conformance`.

Exits with 1 where anything is wrong. What each case did is in the JSON file; the table sums it up.
"""

from __future__ import annotations

import argparse
import json
import sys
import threading
import time
from collections import Counter
from collections.abc import Iterator
from dataclasses import asdict, dataclass, field
from pathlib import Path

from conformance.suite import KINDS, Case, load
from conformance.trial import ENGINES, Verdict
from ncgopt.runtime import Worker, WorkerDied
from ncgopt.settings import Target

_SECONDS = 300.0  # per call, on a busy machine


@dataclass
class Outcome:
    """What became of one case: per engine why it cannot judge it (empty: it can), and the verdict per target."""

    name: str
    kind: str
    engines: dict[str, str] = field(default_factory=dict)
    targets: dict[str, Verdict] = field(default_factory=dict)

    @property
    def judges(self) -> list[str]:
        """Engines whose outputs are the expected ones before anything is done to the model."""
        return [engine for engine, complaint in self.engines.items() if not complaint]

    @property
    def status(self) -> str:
        if not self.judges:
            return "skipped"
        return "wrong" if any(v.complaints for v in self.targets.values()) else "passed"


def try_case(case: Case, worker: Worker) -> Outcome:
    """Run one case with every engine and every target; a crash of the child is an answer too."""
    outcome = Outcome(case.name, case.kind)
    for engine in ENGINES:
        try:
            outcome.engines[engine] = worker.call("conformance.trial:original", case, engine, timeout=_SECONDS)
        except WorkerDied as died:
            outcome.engines[engine] = f"does not run: {died}"
    for target in Target if outcome.judges else ():
        outcome.targets[target.value] = _verdict(case, target, outcome.judges, worker)
    return outcome


def _verdict(case: Case, target: Target, judges: list[str], worker: Worker) -> Verdict:
    try:
        return worker.call("conformance.trial:optimized", case, target.value, judges, timeout=_SECONDS)
    except WorkerDied as died:
        return Verdict({"crash": str(died)})
    except Exception as error:  # a refusal, or a bug of ours: this looks for both
        return Verdict({"ncgopt": f"{type(error).__name__}: {error}"})


def try_all(cases: list[Case], jobs: int) -> list[Outcome]:
    """All outcomes in the order of `cases`; each thread drives a process of its own."""
    outcomes: dict[int, Outcome] = {}
    queue: Iterator[tuple[int, Case]] = iter(list(enumerate(cases)))
    lock = threading.Lock()

    def drive() -> None:
        with Worker() as worker:
            while True:
                with lock:
                    taken = next(queue, None)
                if taken is None:
                    return
                outcomes[taken[0]] = try_case(taken[1], worker)
                if len(outcomes) % 100 == 0:
                    print(f"{len(outcomes)} of {len(cases)}", file=sys.stderr)

    threads = [threading.Thread(target=drive) for _ in range(jobs)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return [outcomes[index] for index in range(len(cases))]


def table(outcomes: list[Outcome]) -> str:
    """One screen: counts per kind, why cases were skipped, and everything that is wrong."""
    lines = [f"{'':20}{'cases':>8}{'skipped':>9}{'run':>7}{'passed':>8}{'wrong':>7}{'crashes':>9}{'rewritten':>11}"]
    for kind in [*dict.fromkeys(o.kind for o in outcomes), "all"]:
        mine = [o for o in outcomes if kind in (o.kind, "all")]
        counts = Counter(o.status for o in mine)
        verdicts = [v for o in mine for v in o.targets.values()]
        rewritten = sum(any(v.rewrites for v in o.targets.values()) for o in mine)
        lines.append(
            f"{kind:20}{len(mine):8}{counts['skipped']:9}{len(mine) - counts['skipped']:7}{counts['passed']:8}"
            f"{counts['wrong']:7}{sum('crash' in v.complaints for v in verdicts):9}{rewritten:11}"
        )
    lines.append("judged by: " + ", ".join(f"{e} {sum(e in o.judges for o in outcomes)}" for e in ENGINES))
    reasons = Counter(reason(o) for o in outcomes if o.status == "skipped")
    lines += [f"skipped {count:4}  {why}" for why, count in reasons.most_common(12)]
    for outcome in outcomes:
        for target, verdict in outcome.targets.items():
            where = f"{outcome.name}, {target}"
            lines += [f"beyond the suite's tolerance, nearer to float64: {where}, {e}" for e in verdict.nearer]
            lines += [f"WRONG {where}, {who}: {what}" for who, what in verdict.complaints.items()]
    return "\n".join(lines)


def reason(outcome: Outcome) -> str:
    """Why no engine could be asked, in a few words that many cases share."""
    complaint = outcome.engines["onnxruntime"]
    known = (
        "is not a registered function/op", "Could not find an implementation", "Unable to handle object of type",
        "other outputs", "native crash", "out of time",
    )  # fmt: skip
    first = next((words for words in known if words in complaint), complaint[:80])
    second = outcome.engines["reference"]
    return f"onnxruntime: {first}; reference: {second.partition(':')[0]}"


def main() -> None:
    """Read the command line, run, print, write."""
    parser = argparse.ArgumentParser(prog="conformance", description=__doc__)
    parser.add_argument("--jobs", type=int, default=2, help="processes at a time")
    parser.add_argument("--kind", action="append", choices=KINDS, help="only these (default: all four)")
    parser.add_argument("--match", default="", help="only cases with this text in their name")
    parser.add_argument("--every", type=int, default=1, help="only every n-th case")
    parser.add_argument("--json", type=Path, help="where the outcome of every case goes")
    arguments = parser.parse_args()
    start = time.perf_counter()
    cases = [c for c in load(tuple(arguments.kind or KINDS)) if arguments.match in c.name][:: arguments.every]
    outcomes = try_all(cases, arguments.jobs)
    if arguments.json is not None:
        arguments.json.parent.mkdir(parents=True, exist_ok=True)
        rows = [{**asdict(o), "status": o.status} for o in outcomes]
        arguments.json.write_text(json.dumps(rows, indent=1, ensure_ascii=False) + "\n")
    print(table(outcomes))
    print(f"{time.perf_counter() - start:.0f} s")
    sys.exit(any(o.status == "wrong" for o in outcomes))


if __name__ == "__main__":
    main()
