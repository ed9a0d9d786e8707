"""`MODEL.session.json`: tuned settings beside their model, and sessions that use them."""

from __future__ import annotations

import hashlib
import importlib
import json
import os
import secrets
import warnings
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

from ncgopt.errors import CannotWrite
from ncgopt.runtime.machine import cores, processor
from ncgopt.runtime.tuned import SessionSettings, settings_from
from ncgopt.to_json import to_json

if TYPE_CHECKING:
    from ncgopt.tune.tune import TuneReport

SCHEMA_VERSION = 1
_CHUNK = 1 << 20


class NotTunedHere(UserWarning):
    """There are tuned settings beside the model, but for another file or another machine."""


def sidecar_of(model: Path) -> Path:
    """Where the settings of a model lie."""
    return model.with_name(f"{model.stem}.session.json")


def write(report: TuneReport, model: Path, place: Path) -> None:
    """Write what was found, complete or not at all.

    Raises:
        CannotWrite: that is not possible.
    """
    entry = {
        "schema_version": SCHEMA_VERSION,
        "settings": report.chosen,
        "made_for": {
            "model": model.name,
            "sha256": _digest(model),
            "machine": _machine(),
            "cores": cores(),
            "onnxruntime": importlib.import_module("onnxruntime").__version__,
        },
        "found": report,
    }
    beside = place.with_name(f".ncgopt-{secrets.token_hex(8)}.tmp")
    try:
        beside.write_text(to_json(entry) + "\n", encoding="utf-8")
        os.replace(beside, place)
    except OSError as error:
        beside.unlink(missing_ok=True)
        raise CannotWrite(f"{place}: {error.strerror}") from error


def read(model: Path) -> SessionSettings:
    """The settings beside a model; ONNX Runtime's own where there are none, or where they were made for another one.

    Warns:
        NotTunedHere: there is a file, and it is of no use here; the text says why.
    """
    place = sidecar_of(model)
    try:
        entry: Any = json.loads(place.read_text(encoding="utf-8"))
    except FileNotFoundError:
        return SessionSettings()
    except (OSError, ValueError, RecursionError) as error:
        return _without(place, f"it cannot be read ({error})")
    match entry:
        case {"schema_version": 1, "settings": {}, "made_for": {}}:
            made_for = cast("dict[str, Any]", entry["made_for"])
            settings = cast("dict[str, Any]", entry["settings"])
        case _:
            return _without(place, "it is no file of this version of ncgopt")
    try:
        found = settings_from(settings)
    except ValueError as error:
        return _without(place, str(error))
    if made_for.get("sha256") != _digest(model):
        return _without(place, "the model has changed since; tune it again")
    if (made_for.get("machine"), made_for.get("cores")) != (_machine(), cores()):
        return _without(place, "it was made on another machine, or for another number of cores; tune it here")
    return found


def session(model: str | os.PathLike[str], *, providers: Sequence[str] | None = None, **options: Any) -> Any:
    """See `ncgopt.session`."""
    ort: Any = importlib.import_module("onnxruntime")
    path = Path(model)
    wanted = ort.SessionOptions()
    read(path).apply(wanted)
    for name, value in options.items():
        setattr(wanted, name, value)
    return ort.InferenceSession(str(path), wanted, providers=list(providers or ("CPUExecutionProvider",)))


def _without(place: Path, why: str) -> SessionSettings:
    warnings.warn(f"{place} is not used: {why}", NotTunedHere, stacklevel=5)
    return SessionSettings()


def _digest(model: Path) -> str:
    """Of the .onnx file alone: weights beside it change no setting."""
    digest = hashlib.sha256()
    with model.open("rb") as file:
        while chunk := file.read(_CHUNK):
            digest.update(chunk)
    return digest.hexdigest()


def _machine() -> str:
    return hashlib.sha256(processor().encode()).hexdigest()[:16]
