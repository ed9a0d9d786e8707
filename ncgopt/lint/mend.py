"""`check --fix`: what can be put right without asking."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import onnx_ir as ir

import ncgopt
from ncgopt.lint.checks._personal import shortened, texts
from ncgopt.lint.finding import Finding
from ncgopt.model import load, save
from ncgopt.model.ondisk import FileTensor
from ncgopt.settings import Settings


def mend(path: Path, findings: Sequence[Finding], settings: Settings) -> bool:
    """Put right what `findings` say can be, in place; whether anything was done.

    What changes the graph goes through `optimize`, which verifies its result. Paths in texts are then shortened, and
    the file is written anew; neither touches what the model computes.

    Raises:
        NcgoptError: see `ncgopt.optimize`; the file is as it was.
    """
    ways = {finding.fix for finding in findings}
    if "optimize" in ways:
        ncgopt.optimize(path, settings, in_place=True)
    if "rewrite" in ways:
        loaded = load(path, trust_links=settings.trust_links)
        _shorten_paths(loaded.model)
        save(
            loaded.model, path, external_data=settings.external_data, input_external=loaded.external, replaces=path
        )  # fmt: skip
    return bool(ways - {""})


def _shorten_paths(model: ir.Model) -> None:
    for place in list(texts(model)):
        text = shortened(place.text, name=place.is_name)
        if text == place.text:
            continue
        if place.is_name:
            place.owner.name = text
        elif place.key:
            place.owner.metadata_props[place.key] = text
        elif isinstance(place.owner, ir.TensorProtoTensor | FileTensor):
            raw = place.owner.raw if isinstance(place.owner, ir.TensorProtoTensor) else place.owner.raw_proto
            raw.doc_string = text
        else:
            place.owner.doc_string = text
