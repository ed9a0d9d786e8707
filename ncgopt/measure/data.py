"""What a model is measured on: the user's feeds, or the largest generated ones that it accepts."""

from __future__ import annotations

import dataclasses
import math
from pathlib import Path

from ncgopt.errors import Inconclusive, Usage
from ncgopt.runtime.process import Worker
from ncgopt.runtime.session import Value
from ncgopt.settings import VerifySettings
from ncgopt.verify.cases import Case
from ncgopt.verify.feeds import make_feeds
from ncgopt.verify.inputs import Survey
from ncgopt.verify.original import Child, Clock, Original, OutOfTime
from ncgopt.verify.search import CaseSearch
from ncgopt.verify.userfeeds import load_feeds


def find_case(worker: Worker, path: Path, survey: Survey, settings: VerifySettings) -> Case:
    """One set of inputs, as the verification of the model would find it.

    Args:
        worker: the child process in which the model is tried.
        path: the model.
        survey: of the model.
        settings: `feeds` (at most one file), else `bind` and `seed` say how data are generated.

    Raises:
        Usage: feeds or bindings do not fit the model, or there are several files of feeds.
        Inconclusive: it accepts nothing that was tried.
        LoadError, WorkerDied: ONNX Runtime does not take it.
    """
    if len(settings.feeds) > 1:
        raise Usage("a measurement takes one file of feeds")
    if settings.feeds:
        file = settings.feeds[0].absolute()
        _, binding = worker.call("ncgopt.verify.userfeeds:load_feeds", file, survey)
        return Case(tuple(sorted(binding.items())), file=file)
    child = Child(worker, dataclasses.replace(settings, draws=1), Clock(settings.timeout))
    original = Original(child, path, survey, optimize=True)
    try:
        found = CaseSearch(original, 1, settings.seed).run()
    except OutOfTime:
        raise Inconclusive(f"{path}: no inputs were found for it in {settings.timeout:.0f} seconds") from None
    worker.call("ncgopt.verify.remote:release")
    cases = [case for case in found.cases if not case.overrides]
    if not cases:
        refusals = [*original.crashes, *found.refusals]
        raise Inconclusive(
            f"{path}: refused all inputs that were tried" + (f", for example: {refusals[0]}" if refusals else "")
        )
    return max(cases, key=lambda case: math.prod(size for _, size in case.binding))


def feeds_of(case: Case, survey: Survey) -> dict[str, Value]:
    """The inputs that a case describes."""
    if case.file is not None:
        return load_feeds(case.file, survey)[0]
    return make_feeds(survey.inputs, dict(case.binding), case.draw)
