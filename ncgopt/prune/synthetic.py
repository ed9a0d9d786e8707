"""Sizes of symbolic dimensions at which a model runs on random data."""

from __future__ import annotations

from pathlib import Path

from ncgopt.errors import Inconclusive
from ncgopt.measure.data import find_case
from ncgopt.runtime.process import Worker, WorkerDied
from ncgopt.runtime.session import OrtError
from ncgopt.settings import VerifySettings
from ncgopt.verify.inputs import Survey


def accepted_binding(worker: Worker, path: Path, survey: Survey, seed: int) -> dict[str, int]:
    """The largest of the bindings that the model accepts.

    Raises:
        Inconclusive: it accepts none of those that were tried.
    """
    try:
        return dict(find_case(worker, path, survey, VerifySettings(seed=seed)).binding)
    except (OrtError, WorkerDied) as error:
        raise Inconclusive(f"{path}: cannot be run on random data: {error}") from error
