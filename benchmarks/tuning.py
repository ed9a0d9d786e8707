"""Whether `ncgopt tune` keeps its word: never slower than the defaults, and the same answer when asked again.

    python benchmarks/tuning.py INDEX [--models NAME ...] [--budget 60] [--streams 1] [--json build/tuning.json]

INDEX is a corpus's `index.json`. Each model is tuned twice. The first choice is then raced against ONNX Runtime's
defaults, and where the second is another one, against that: it is equivalent where no difference is beyond noise.
"""

from __future__ import annotations

import argparse
import json
import sys
import time
from pathlib import Path

from ncgopt.measure.latency import inputs_of
from ncgopt.measure.ratio import Ratio
from ncgopt.settings import VerifySettings
from ncgopt.to_json import to_json
from ncgopt.tune import SessionSettings, tune
from ncgopt.tune.contest import Subject, race

_MODELS = (
    "ppocr_mobile_v2_cls", "nudenet_320n", "paraphrase_minilm_l3", "silero_vad_16k_op15", "mobilenetv2.ts",
    "t5_small_enc.ts",
)  # fmt: skip
_RACE_SECONDS = 20.0


def _silent(_: str) -> None:
    return


def raced(path: Path, streams: int, first: SessionSettings, second: SessionSettings) -> Ratio | None:
    """Time with the first over time with the second; None where they are the same."""
    if first == second:
        return None
    settings = VerifySettings()
    survey, case = inputs_of(path, settings)
    subject = Subject(path.absolute(), survey, case, settings, streams)
    return race(subject, first, second, time.monotonic() + _RACE_SECONDS, _silent)[0]


def text(ratio: Ratio | None) -> str:
    """A ratio with its interval."""
    return "the same" if ratio is None else f"{ratio.value:.3f} ({ratio.low:.3f} to {ratio.high:.3f}) {ratio.verdict}"


def main() -> int:
    """One paragraph per model; exit code 1 where a choice is slower than the defaults, or changes for the worse."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("index", type=Path)
    parser.add_argument("--models", nargs="+", default=_MODELS)
    parser.add_argument("--budget", type=float, default=60.0)
    parser.add_argument("--streams", type=int, default=1)
    parser.add_argument("--json", type=Path)
    given = parser.parse_args()
    entries = {entry["name"]: entry for entry in json.loads(given.index.read_text(encoding="utf-8"))}
    rows: list[dict[str, object]] = []
    good = True
    for name in given.models:
        path = given.index.parent / entries[name]["file"]
        one, two = (tune(path, VerifySettings(), budget=given.budget, streams=given.streams) for _ in range(2))
        against = raced(path, given.streams, SessionSettings(), one.chosen)
        between = raced(path, given.streams, one.chosen, two.chosen)
        fine = (against is None or against.verdict != "slower") and (
            between is None or between.verdict == "no difference within noise"
        )
        good = good and fine
        rows.append({"model": name, "first": one, "second": two, "against": against, "between": between, "fine": fine})
        print(f"{name}: {one.text}; {one.verdict}")
        print(f"    again: {two.text}; {two.verdict}")
        print(f"    defaults over the first {text(against)}; the first over the second {text(between)}", flush=True)
    if given.json is not None:
        given.json.write_text(to_json(rows), encoding="utf-8")
    return 0 if good else 1


if __name__ == "__main__":
    sys.exit(main())
