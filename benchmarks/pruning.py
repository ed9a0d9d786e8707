"""What pruning costs and buys on the trained models, and on real ones: `python benchmarks/pruning.py`.

Over five seeds (of training, split and calibration) the means and standard errors of test accuracy lost:

1. half of the weights, 70 % of them, and 2:4, by each method;
2. half of the channels: accuracy and latency (batch 8, one thread);
3. 80 % and 90 % of the weights: all at once, layer by layer (the default), and along a schedule of five steps.

Models are trained once and kept in build/pruning.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import sys
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")
ROOT = Path(__file__).parents[1]
sys.path[:0] = [str(ROOT / "models"), str(ROOT / "models" / "trained")]

import digits_cnn  # noqa: E402
import digits_mlp  # noqa: E402
import numpy as np  # noqa: E402
from assemble import save  # noqa: E402
from train import load_digits  # noqa: E402

from ncgopt.prune.run import prune  # noqa: E402
from ncgopt.prune.settings import PruneSettings  # noqa: E402

MODELS = {"digits_mlp": digits_mlp, "digits_cnn": digits_cnn}
METHODS = ("magnitude", "wanda", "obs")
WEIGHTS: Mapping[str, Mapping[str, object]] = {
    "50 %": {"sparsity": 0.5},
    "70 %": {"sparsity": 0.7},
    "2:4": {"pattern": "2:4"},
    "80 %": {"sparsity": 0.8},
    "80 %, all at once": {"sparsity": 0.8, "schedule": "constant"},
    "80 %, 5 steps": {"sparsity": 0.8, "schedule": "polynomial", "steps": 5},
    "90 %": {"sparsity": 0.9},
    "90 %, all at once": {"sparsity": 0.9, "schedule": "constant"},
    "90 %, 5 steps": {"sparsity": 0.9, "schedule": "polynomial", "steps": 5},
}
CALIBRATION = 512


def prepare(folder: Path, name: str, seed: int) -> Path:
    """The trained model and its data, made where they are missing; a folder with model.onnx, data.npz, test.npz."""
    place = folder / f"{name}.{seed}"
    place.mkdir(parents=True, exist_ok=True)
    if not (place / "model.onnx").exists():
        save(MODELS[name].build(seed), place / "model.onnx")
    digits = load_digits(seed)
    np.savez(place / "data.npz", image=digits.train[:CALIBRATION])
    np.savez(place / "test.npz", image=digits.test, label=digits.test_labels)
    return place


def run(place: Path, **asked: object) -> dict[str, float]:
    """Prune once: points of test accuracy lost, accuracy before, sparsity, latency ratio."""
    settings = PruneSettings(
        data=str(place / "data.npz"),
        eval_data=str(place / "test.npz"),
        labels="label",
        samples=CALIBRATION,
        batch=8,
        **asked,  # pyright: ignore[reportArgumentType]
    )
    report = prune(place / "model.onnx", settings, dry_run=True)
    assert report.quality is not None
    return {
        "before": 100 * report.quality.original,
        "lost": 100 * report.quality.drop,
        "mse": report.quality.others["mse"],
        "sparsity": report.sparsity,
        "latency": report.latency.ratio if report.latency is not None else 0.0,
    }


def text(values: Sequence[float], digits: int = 2) -> str:
    """Mean and standard error."""
    error = statistics.stdev(values) / len(values) ** 0.5 if len(values) > 1 else 0.0
    return f"{statistics.mean(values):.{digits}f} ± {error:.{digits}f}"


def experiments() -> Iterator[tuple[str, str, dict[str, object]]]:
    """What is asked for, how it is called, and by which method."""
    for title, asked in WEIGHTS.items():
        for method in METHODS if "schedule" not in asked else ("obs",):
            yield title, method, {**asked, "method": method, "measure_seconds": 0.0, "optimize": False}
    for method in METHODS:
        yield "half of the channels", method, {"structured": True, "method": method}


def main() -> None:
    """Run what was asked for and print a table in Markdown."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seeds", type=int, default=5)
    parser.add_argument("--only", nargs="*", default=list(MODELS), choices=list(MODELS))
    parser.add_argument("--folder", type=Path, default=ROOT / "build" / "pruning")
    parser.add_argument("--json", type=Path)
    given = parser.parse_args()
    rows: list[dict[str, object]] = []
    for name in given.only:
        places = [prepare(given.folder, name, seed) for seed in range(given.seeds)]
        print(f"\n{name}, {given.seeds} seeds\n")
        print("| pruned | method | accuracy lost (points) | error / variance | sparsity | latency |")
        print("|---|---|---|---|---|---|", flush=True)
        for title, method, asked in experiments():
            found = [run(place, **asked) for place in places]
            columns = {key: [one[key] for one in found] for key in found[0]}
            latency = text(columns["latency"]) + " x" if columns["latency"][0] else ""
            shown = [
                title,
                method,
                text(columns["lost"]),
                text(columns["mse"], 4),
                text(columns["sparsity"], 3),
                latency,
            ]
            print(f"| {' | '.join(shown)} |", flush=True)
            rows.append({"model": name, "pruned": title, "method": method, **columns})
        print(f"\nAccuracy before: {text([float(v) for v in rows[-1]['before']])} %")  # type: ignore[union-attr]
    if given.json is not None:
        given.json.parent.mkdir(parents=True, exist_ok=True)
        given.json.write_text(json.dumps(rows, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
