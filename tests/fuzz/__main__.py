"""Random models grown from the case files, optimized for both targets and compared: `make fuzz`.

Model number I of seed S is always the same, whatever else is run. Exits with 1 where one fails.
"""

from __future__ import annotations

import argparse
import json
import sys
import threading
import time
from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import asdict
from pathlib import Path

from fuzz.trial import Failure, Result
from ncgopt.errors import NcgoptError
from ncgopt.pipeline.catalog import catalog
from ncgopt.runtime import Worker, WorkerDied

_SECONDS = 120.0  # per model, on a busy machine
_SHRINK_SECONDS = 600.0


def try_all(seed: int, indices: Iterable[int], jobs: int) -> list[Result]:
    """Results in the order of their models; a crash of a child is a failure of the model it had."""
    results: list[Result] = []
    queue: Iterator[int] = iter(indices)
    lock = threading.Lock()

    def drive() -> None:
        with Worker() as worker:
            while True:
                with lock:
                    index = next(queue, None)
                if index is None:
                    return
                try:
                    result = _try_one(seed, index, worker)
                except (NcgoptError, ValueError, TypeError, RuntimeError, ArithmeticError, LookupError) as error:
                    result = Result(index, failures=[Failure("crash", "fuzz", f"of the fuzzer: {error!r}"[:300])])
                results.append(result)
                for failure in result.failures:
                    print(f"{index} {failure.kind}, {failure.target}: {failure.detail}", file=sys.stderr, flush=True)
                if len(results) % 500 == 0:
                    print(f"{len(results)} models", file=sys.stderr, flush=True)

    threads = [threading.Thread(target=drive) for _ in range(jobs)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return sorted(results, key=lambda r: r.index)


def _try_one(seed: int, index: int, worker: Worker) -> Result:
    try:
        return worker.call("fuzz.trial:try_index", seed, index, timeout=_SECONDS)
    except WorkerDied as died:
        crash = Failure("crash", "onnx", f"of the whole process: {died}")
    try:
        worker.call("fuzz.trial:run_original", seed, index, timeout=_SECONDS)
    except WorkerDied:
        return Result(index, skipped="the runtime crashes on the original")
    return Result(index, failures=[crash])


def save_failures(seed: int, results: list[Result], folder: Path, limit: int) -> list[str]:
    """Shrink and write the first `limit` failures; a line for each."""
    lines: list[str] = []
    failing = [(r.index, f) for r in results for f in r.failures]
    with Worker() as worker:
        for index, failure in failing[:limit]:
            try:
                record = worker.call("fuzz.record:save", folder, seed, index, failure, timeout=_SHRINK_SECONDS)
                lines.append(f"  {record.folder}: {record.nodes} nodes; {record.failure.detail}"[:300])
            except (NcgoptError, RuntimeError) as error:
                lines.append(f"  model {index} could not be shrunk: {error}"[:300])
    return lines


def table(results: list[Result]) -> str:
    """One screen: what was run and compared, what failed, and which rules never fired."""
    skipped = Counter(r.skipped.split(":")[-1].strip() for r in results if r.skipped)
    failures = Counter(f.kind for r in results for f in r.failures)
    changed = sum(any(r.fired.values()) for r in results)
    lines = [
        f"{len(results)} models, {sum(skipped.values())} skipped, {changed} changed, "
        f"{sum(r.nodes for r in results)} nodes, {sum(r.compared for r in results)} comparisons, "
        f"{sum(r.rounding for r in results)} beyond the tolerance by rounding alone",
        "failures: " + (", ".join(f"{kind} {n}" for kind, n in failures.items()) or "none"),
    ]
    fired: Counter[str] = Counter()
    for result in results:
        fired.update({name for names in result.fired.values() for name in names})
    names = [entry.name for entry in catalog() if "default" in entry.presets]
    columns = [f"{name} {fired[name]}" for name in sorted(fired, key=lambda n: -fired[n])]
    lines.append("models in which each fired: " + ", ".join(columns))
    lines.append("never fired: " + (", ".join(n for n in names if n not in fired) or "none"))
    return "\n".join(lines)


def main() -> None:
    """Read the command line, run, shrink, print, write."""
    parser = argparse.ArgumentParser(prog="fuzz", description=__doc__)
    parser.add_argument("--count", type=int, default=10_000, help="how many models")
    parser.add_argument("--first", type=int, default=0, help="the number of the first one")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--only", type=int, help="only the model with this number")
    parser.add_argument("--jobs", type=int, default=2, help="processes at a time")
    parser.add_argument("--save", type=Path, default=Path("build/fuzz"), help="where failures go")
    parser.add_argument("--shrink", type=int, default=20, help="how many failures are shrunk")
    parser.add_argument("--json", type=Path, help="where the result of every model goes")
    arguments = parser.parse_args()
    start = time.perf_counter()
    last = arguments.first + arguments.count
    indices = range(arguments.first, last) if arguments.only is None else [arguments.only]
    results = try_all(arguments.seed, indices, arguments.jobs)
    print(table(results))
    if len(results) != len(indices):
        sys.exit(f"{len(indices) - len(results)} models were not tried")
    for line in save_failures(arguments.seed, results, arguments.save.absolute(), arguments.shrink):
        print(line)
    if arguments.json is not None:
        arguments.json.write_text(json.dumps([asdict(r) for r in results], indent=1) + "\n")
    print(f"{time.perf_counter() - start:.0f} s")
    sys.exit(any(r.failures for r in results))


if __name__ == "__main__":
    main()
