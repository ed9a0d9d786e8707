"""What to send with a bug report: a folder that says what is wrong, and shows it again."""

from __future__ import annotations

import dataclasses
import json
import platform
import shutil
from collections.abc import Mapping
from dataclasses import dataclass, field
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any, cast

from ncgopt.errors import CannotWrite, InputUnreadable
from ncgopt.reduce.experiment import Symptom
from ncgopt.reduce.specimen import Specimen
from ncgopt.settings import Settings, Target, VerifySettings
from ncgopt.to_json import to_json

FORMAT = 1
_PACKAGES = ("ncgopt", "onnx", "onnx-ir", "onnxruntime", "numpy", "protobuf")
BEFORE, AFTER, FEEDS, FACTS, README = "before.onnx", "after.onnx", "feeds.npz", "bundle.json", "README.md"


@dataclass(frozen=True)
class Bundle:
    """What is known of a fault.

    Attributes:
        model: the model in which it was found.
        source: the rule or pass at fault.
        where: the place.
        reason: what verification, or the rewrite itself, said of the whole model.
        symptom: what is seen on the part that was cut out.
        settings: what to do with `before.onnx` to see it.
        reduced: whether `before.onnx` is a part of the model; else it is the whole of it.
        nodes, elements: size of `before.onnx`.
        nodes_before: nodes of the model that it was cut out of.
        versions: of everything that may matter.
    """

    model: str
    source: str
    where: str
    reason: str
    symptom: Symptom
    settings: Settings
    reduced: bool
    nodes: int
    elements: int
    nodes_before: int
    versions: Mapping[str, str] = field(default_factory=lambda: versions())
    format: int = FORMAT


def versions() -> dict[str, str]:
    """Of our packages, Python and the platform."""
    found = {"python": platform.python_version(), "platform": platform.platform(), "machine": platform.machine()}
    for package in _PACKAGES:
        try:
            found[package] = version(package)
        except PackageNotFoundError:
            found[package] = "not installed"
    return found


def require_free(folder: Path) -> None:
    """Raise CannotWrite where `folder` cannot become a bundle: there is something there already."""
    if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
        raise CannotWrite(f"{folder} exists and is not empty; -o names another folder")
    if not folder.absolute().parent.is_dir():
        raise CannotWrite(f"{folder}: the folder {folder.absolute().parent} does not exist")


def write(folder: Path, bundle: Bundle, before: Path, after: Path | None, feeds: Path | None) -> None:
    """Make `folder` from the files given; external data of the models must lie within them.

    Raises:
        CannotWrite: there is something there already, or no room.
    """
    require_free(folder)
    try:
        folder.mkdir(exist_ok=True)
        for source, name in ((before, BEFORE), (after, AFTER), (feeds, FEEDS)):
            if source is not None and source.exists():
                shutil.copyfile(source, folder / name)
        (folder / FACTS).write_text(to_json(bundle) + "\n", encoding="utf-8")
        (folder / README).write_text(_readme(bundle, after is not None), encoding="utf-8")
    except OSError as error:
        raise CannotWrite(f"{folder}: {error.strerror}") from error


def read(folder: Path) -> Bundle:
    """What `write` wrote.

    Raises:
        InputUnreadable: this is no bundle, or one of another version of ncgopt.
    """
    path = folder / FACTS
    try:
        facts: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
        if facts["format"] != FORMAT:
            raise InputUnreadable(f"{path} has format {facts['format']}, this version of ncgopt reads {FORMAT}")
        facts["symptom"]["excess"] = float(facts["symptom"]["excess"])
        facts["symptom"] = Symptom(**facts["symptom"])
        facts["settings"] = _settings(facts["settings"])
        return Bundle(**facts)
    except OSError as error:
        raise InputUnreadable(f"{path}: {error.strerror}; a bundle is what `ncgopt bisect` writes") from None
    except (ValueError, TypeError, LookupError) as error:
        raise InputUnreadable(f"{path} is not what `ncgopt bisect` writes: {error}") from None


def _settings(plain: dict[str, Any]) -> Settings:
    given, checks = _known(Settings, plain), _known(VerifySettings, plain["verification"])
    for name in ("feeds", "custom_ops"):
        checks[name] = tuple(Path(path) for path in checks[name])
    given["target"] = Target[given["target"].rpartition(".")[2]]
    given["verification"] = VerifySettings(**checks)
    return Settings(**given)


def _known(cls: type[Any], plain: dict[str, Any]) -> dict[str, Any]:
    """What this version of ncgopt knows of what another wrote."""
    names = {f.name for f in dataclasses.fields(cls)}
    return {name: _tuples(value) for name, value in plain.items() if name in names}


def _tuples(value: Any) -> Any:
    return tuple(cast("list[object]", value)) if isinstance(value, list) else value


def _readme(bundle: Bundle, has_after: bool) -> str:
    symptom = bundle.symptom
    what = "a part cut out of it" if bundle.reduced else "the whole model as it was before the rewrite"
    lines = [
        f"# {bundle.source} is at fault",
        "",
        f"Found by `ncgopt bisect` in `{Path(bundle.model).name}`, at {bundle.where}:",
        "",
        f"> {bundle.reason}",
        "",
        "See it again, with the ncgopt that is installed, from this folder:",
        "",
        "    ncgopt bisect --replay .",
        "",
        f"- `{BEFORE}`: {what} ({bundle.nodes} of {bundle.nodes_before} nodes, {bundle.elements} numbers)",
    ]
    if has_after:
        lines.append(f"- `{AFTER}`: what {bundle.source} made of it")
    lines += [
        f"- `{FEEDS}`: the inputs with which it shows",
        f"- `{FACTS}`: settings and versions",
        "",
        f"What shows: {symptom.kind}: {symptom.detail}" + (f" ({symptom.level})" if symptom.level else ""),
        "",
        "Versions: " + ", ".join(f"{name} {number}" for name, number in bundle.versions.items()),
        "",
    ]
    return "\n".join(lines)


def specimen(folder: Path) -> Specimen:
    """The model before and its inputs."""
    return Specimen.load(folder / BEFORE, folder / FEEDS)
