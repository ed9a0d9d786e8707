"""Does a result hold at sizes that its verification never saw? Three of them per model, and what was dynamic stays so.

    python benchmarks/bindings.py [--target onnx|onnxruntime] [--opset N] MODEL_OR_FOLDER...

Each model is optimized as `ncgopt optimize` does it. Then three bindings of its symbolic dimensions
are looked for that the verification did not use and the original accepts, and both models run there,
on new data, with ONNX Runtime's optimizations off and on. Values must agree within the limits that
verification has, shapes exactly; inputs and outputs must declare the same symbols as before. A value
inside that became fixed at the sizes of the verification would fail or give another shape.

One line per model; exit code 1 if one failed. Models without symbolic dimensions have nothing to show.
"""

from __future__ import annotations

import argparse
import itertools
import math
import random
import sys
import tempfile
import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path

import ncgopt
from ncgopt.errors import NcgoptError
from ncgopt.runtime import Worker
from ncgopt.verify.cases import Case
from ncgopt.verify.feeds import Draw
from ncgopt.verify.inputs import Survey, Symbol
from ncgopt.verify.original import Child, Clock, Original

Binding = dict[str, int]

WANTED = 3
TRIALS = 80
SECONDS = 600.0
SIZES = {
    "batch": (2, 4, 5, 6, 7),
    "length": (4, 6, 9, 11, 14, 19, 27),
    "spatial": (2, 3, 5, 6, 7),
    "channel": (),
    "rank": (),
}
DRAWS = (Draw(number=7), Draw(), Draw(floats="unit", ints="small"), Draw(floats="unit", ints="ones"))


def candidates(symbols: Sequence[Symbol], used: Sequence[Binding]) -> Iterator[Binding]:
    """Bindings like the used ones but of other sizes: all dimensions changed, then one after the other.

    Dimensions that were equal in every used binding stay equal, and one that was the sum of two
    others stays their sum; a spatial one stays a multiple of what all its sizes were multiples of.
    """
    draw = random.Random(0)
    names = [symbol.name for symbol in symbols]
    free = [symbol for k, symbol in enumerate(symbols) if not relation(symbol.name, names[:k], used)]
    for _, base in itertools.product(range(8), used):
        yield completed({s.name: draw.choice(sizes(s, used) or [base[s.name]]) for s in free}, names, used, base)
    for symbol, base in itertools.product(free, used):
        for size in sizes(symbol, used):
            yield completed({**{s.name: base[s.name] for s in free}, symbol.name: size}, names, used, base)


def sizes(symbol: Symbol, used: Sequence[Binding]) -> list[int]:
    """Sizes to try for one dimension, in the order of the table; for a length that is long, longer ones."""
    seen = [binding[symbol.name] for binding in used]
    if symbol.role == "length" and min(seen) > max(SIZES["length"]):
        return [min(seen) + size for size in SIZES["length"]]
    step = math.gcd(*seen) if symbol.role == "spatial" else 1
    return [size * step for size in SIZES[symbol.role]]


def relation(name: str, others: Sequence[str], used: Sequence[Binding]) -> tuple[str, ...]:
    """The dimension, or the two, that `name` was equal to, or the sum of, in every used binding."""
    for count in (1, 2):
        for parts in itertools.combinations(others, count):
            if all(binding[name] == sum(binding[part] for part in parts) for binding in used):
                return parts
    return ()


def completed(chosen: Mapping[str, int], names: Sequence[str], used: Sequence[Binding], base: Binding) -> Binding:
    """The chosen sizes, and those that follow from them."""
    binding = dict(chosen)
    for k, name in enumerate(names):
        if name not in binding:
            parts = relation(name, names[:k], used)
            binding[name] = sum(binding[part] for part in parts) if parts else base[name]
    return binding


def unseen(model: Path, used: Sequence[Binding], worker: Worker) -> list[Binding]:
    """Bindings that the original accepts and the verification did not use; no more than wanted."""
    child = Child(worker, ncgopt.VerifySettings(), Clock(SECONDS))
    survey: Survey = child.ask("survey_of", model)
    original = Original(child, model, survey, optimize=False)
    found: list[Binding] = []
    tried = [dict(binding) for binding in used]
    for binding in itertools.islice(candidates(survey.symbols, used), TRIALS):
        if binding in tried:
            continue
        tried.append(binding)
        cases = (Case(tuple(sorted(binding.items())), way) for way in DRAWS)
        if any(original.attempt(case).refusal is None for case in cases):
            found.append(binding)
        if len(found) == WANTED:
            break
    child.ask("release")
    return found


def check(model: Path, settings: ncgopt.Settings, folder: Path) -> tuple[bool, str]:
    """Whether one model holds at unseen sizes, and what to say about it."""
    result = folder / "result.onnx"
    report = ncgopt.optimize(model, settings, output=result)
    used = [dict(run.binding) for run in report.verification.runs]
    used = [binding for k, binding in enumerate(used) if binding not in used[:k]]
    if not used or not used[0]:
        return True, "no symbolic dimension"
    with Worker() as worker:
        bindings = unseen(model.absolute(), used, worker)
    for binding in bindings:
        wanted = ncgopt.VerifySettings(bind=binding, draws=1, seed=1)
        outcome = ncgopt.verify(model, result, wanted)
        if outcome.status != "passed":
            return (
                False,
                f"at {text(binding)}: {outcome.status}: {outcome.reason} {'; '.join(outcome.interface)}".rstrip(),
            )
    fixed = [name for name in used[0] if len({binding[name] for binding in (*used, *bindings)}) == 1]
    note = f" (only one size accepted for {', '.join(fixed)})" if fixed else ""
    return len(bindings) == WANTED or bool(fixed), f"{len(bindings)} bindings: {'; '.join(map(text, bindings))}{note}"


def text(binding: Mapping[str, int]) -> str:
    """The way the report writes a binding."""
    return ", ".join(f"{name}={size}" for name, size in binding.items())


def models(paths: Iterable[str]) -> Iterator[Path]:
    """Models at `paths`, those in folders included."""
    for path in map(Path, paths):
        yield from sorted(path.rglob("*.onnx")) if path.is_dir() else [path]


def main() -> int:
    """One line per model."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n")[0])
    parser.add_argument("models", nargs="+")
    parser.add_argument("--target", choices=[target.value for target in ncgopt.Target], default="onnx")
    parser.add_argument("--opset", type=int)
    given = parser.parse_args()
    settings = ncgopt.Settings(target=ncgopt.Target(given.target), opset=given.opset)
    failed = 0
    for model in models(given.models):
        start = time.perf_counter()
        with tempfile.TemporaryDirectory(prefix="ncgopt-") as folder:
            try:
                good, note = check(model, settings, Path(folder))
            except NcgoptError as error:
                good, note = False, str(error)
        failed += not good
        name = model.stem if model.stem != "model" else model.parent.name
        print(f"{'ok    ' if good else 'FAILED'}  {name}  {note}  [{time.perf_counter() - start:.0f} s]", flush=True)
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
