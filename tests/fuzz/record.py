"""Failures on disk: the model that was made, a small one that fails likewise, and how to see it again."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from pathlib import Path

import onnx

from fuzz.generate import generate
from fuzz.optimizing import optimize, without_guard
from fuzz.shrink import shrink
from fuzz.trial import Failure


@dataclass(frozen=True)
class Record:
    """What `save` wrote: the failure as the small model shows it, and the change that brings it about."""

    folder: str
    failure: Failure
    nodes: int
    rewrites: list[str]


def save(
    folder: Path, seed: int, index: int, failure: Failure, only: str = "", guard: tuple[str, str] | None = None
) -> Record:
    """Shrink the failure of model `index` and write it to `folder/SEED-INDEX-KIND-TARGET`."""
    draft = generate(seed, index, only)
    if guard is None:
        small, smaller = shrink(draft, failure, index)
    else:
        with without_guard(*guard):
            small, smaller = shrink(draft, failure, index)
    place = folder / f"{seed}-{index}-{failure.kind}-{failure.target}"
    place.mkdir(parents=True, exist_ok=True)
    onnx.save(draft.model, place / "whole.onnx")
    onnx.save(small, place / "small.onnx")
    (place / "small.txt").write_text(onnx.printer.to_text(small) + "\n")
    rewrites: list[str] = []
    if smaller.kind != "crash":
        result = optimize(small, failure.target)
        rewrites = [f"{r.source} at {r.where}" for r in result.rewrites]
        onnx.save(result.model, place / "small.opt.onnx")
        (place / "small.opt.txt").write_text(onnx.printer.to_text(result.model) + "\n")
    record = Record(str(place), smaller, len(small.graph.node), rewrites)
    facts = {
        "seed": seed, "index": index, "sizes": draft.sizes, "feeds": draft.kind, "story": draft.story,
        "rewrites": rewrites, "failure": asdict(smaller), "again": f"make fuzz SEED={seed} ONLY={index}",
    }  # fmt: skip
    (place / "failure.json").write_text(json.dumps(facts, indent=1, ensure_ascii=False) + "\n")
    return record
