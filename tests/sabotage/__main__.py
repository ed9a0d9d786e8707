"""Every `requires` guard of every rule is left out once; the cases or the fuzzer must notice: `make sabotage`.

Exits with 1 where a guard can go without anybody noticing.
"""

from __future__ import annotations

import argparse
import json
import sys
import threading
from collections.abc import Iterator
from dataclasses import asdict
from pathlib import Path

from ncgopt.runtime import Worker, WorkerDied
from sabotage.guards import Guard, Noticed, all_guards

_SECONDS = 900.0


def leave_out(worker: Worker, guard: Guard, count: int, seed: int) -> Noticed:
    """Run the guard's refusing cases and up to `count` models grown from the rule's cases without it, in `worker`.

    A random model that takes the process down shows nothing of the guard: most such models do so to ONNX Runtime
    before any rewrite.
    """
    try:
        cases: tuple[str, ...] = worker.call("sabotage.guards:by_cases", guard, timeout=_SECONDS)
    except WorkerDied as died:
        cases = (f"crashes: {died}",)
    for index in range(count):
        try:
            failure: str = worker.call("sabotage.guards:by_model", guard, seed, index, timeout=_SECONDS)
        except WorkerDied:
            continue
        if failure:
            return Noticed(guard.rule, guard.name, cases, index + 1, failure)
    return Noticed(guard.rule, guard.name, cases, 0, "")


def try_all(guards: list[Guard], count: int, seed: int, jobs: int) -> list[Noticed]:
    """What was noticed, in the order of `guards`; each thread drives a process of its own."""
    found: dict[Guard, Noticed] = {}
    queue: Iterator[Guard] = iter(guards)
    lock = threading.Lock()

    def drive() -> None:
        with Worker() as worker:
            while True:
                with lock:
                    guard = next(queue, None)
                if guard is None:
                    return
                found[guard] = leave_out(worker, guard, count, seed)
                if len(found) % 20 == 0:
                    print(f"{len(found)} of {len(guards)}", file=sys.stderr, flush=True)

    threads = [threading.Thread(target=drive) for _ in range(jobs)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return [found[guard] for guard in guards]


def summary(found: list[Noticed]) -> str:
    """One screen: who noticed how many, and whom nobody noticed."""
    lines = [
        f"{len(found)} guards left out, one at a time: noticed by cases {sum(n.by_cases for n in found)}, "
        f"by random models {sum(n.models > 0 for n in found)}, by nobody {sum(n.survived for n in found)}"
    ]
    lines += [f"SURVIVED {n.rule}, {n.guard}: cases {', '.join(n.cases) or 'none'}" for n in found if n.survived]
    lines += [
        f"only the random models noticed {n.rule}, {n.guard}: {n.failure}" for n in found if n.models and not n.by_cases
    ]
    blind = [f"{n.rule} ({n.guard})" for n in found if not n.models and n.by_cases]
    lines.append("only the cases noticed: " + (", ".join(blind) or "none"))
    return "\n".join(lines)


def main() -> None:
    """Read the command line, run, print, write."""
    parser = argparse.ArgumentParser(prog="sabotage", description=__doc__)
    parser.add_argument("--count", type=int, default=60, help="random models per guard")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--jobs", type=int, default=2, help="processes at a time")
    parser.add_argument("--match", default="", help="only rules with this text in their name")
    parser.add_argument("--json", type=Path, help="where what was noticed of every guard goes")
    arguments = parser.parse_args()
    guards = [guard for guard in all_guards() if arguments.match in guard.rule]
    found = try_all(guards, arguments.count, arguments.seed, arguments.jobs)
    print(summary(found))
    if arguments.json is not None:
        arguments.json.write_text(json.dumps([asdict(n) for n in found], indent=1) + "\n")
    sys.exit(any(n.survived for n in found))


if __name__ == "__main__":
    main()
