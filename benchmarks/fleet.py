"""How much faster many models are done with several jobs, and whether the results are the same.

    python benchmarks/fleet.py INDEX [--count 50] [--jobs 1 2] [--largest 400MB] [--json build/fleet.json]

INDEX is a corpus's `index.json`: a list of entries with `file` (relative to it), or a folder of models. The smallest
models below `--largest` are taken, verification is on, and ONNX Runtime and numpy have one thread in every job. Each
run starts from nothing, as the command line does, and results are compared byte for byte.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import os
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from ncgopt.bytesize import parse_size

_RUN = "from ncgopt_cli.main import run; run()"


def chosen(index: Path, count: int, largest: int) -> list[Path]:
    """The smallest models of a corpus."""
    if index.is_dir():
        paths = sorted(index.rglob("*.onnx"))
    else:
        paths = [index.parent / entry["file"] for entry in json.loads(index.read_text(encoding="utf-8"))]
    small = sorted((path.stat().st_size, str(path)) for path in paths if path.is_file())
    return [Path(path) for size, path in small if size <= largest][:count]


def link(models: list[Path], folder: Path) -> None:
    """All models in one folder, under names of their own, their data files beside them."""
    for number, path in enumerate(models):
        place = folder / f"{number:03}"
        place.mkdir()
        for one in path.parent.iterdir():
            if one == path or (one.is_file() and one.name.startswith(f"{path.name}.")):
                try:
                    os.link(one, place / one.name)
                except OSError:  # on another file system
                    shutil.copyfile(one, place / one.name)


def timed(models: Path, out: Path, jobs: int) -> tuple[float, int]:
    """Seconds and exit code of one run of the command line."""
    command = [sys.executable, "-c", _RUN, "optimize", str(models), "-o", str(out), "--jobs", str(jobs)]
    start = time.perf_counter()
    done = subprocess.run(command, stdout=subprocess.DEVNULL, check=False)
    return time.perf_counter() - start, done.returncode


def digests(folder: Path) -> dict[str, str]:
    """SHA-256 of every result."""
    paths = [path for path in folder.rglob("*") if path.is_file() and ".ncgopt" not in path.parts]
    return {str(path.relative_to(folder)): hashlib.sha256(path.read_bytes()).hexdigest() for path in sorted(paths)}


def main() -> int:
    """Print one line per number of jobs; exit code 1 where results differ."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("index", type=Path)
    parser.add_argument("--count", type=int, default=50)
    parser.add_argument("--jobs", type=int, nargs="+", default=[1, 2])
    parser.add_argument("--largest", type=parse_size, default=parse_size("400MB"))
    parser.add_argument("--json", type=Path)
    given = parser.parse_args()
    models = chosen(given.index, given.count, given.largest)
    rows: list[dict[str, object]] = []
    with tempfile.TemporaryDirectory(prefix="ncgopt-fleet-") as name:
        folder = Path(name)
        (folder / "in").mkdir()
        link(models, folder / "in")
        known: dict[str, str] | None = None
        base = 0.0
        for jobs in given.jobs:
            seconds, code = timed(folder / "in", folder / f"out{jobs}", jobs)
            found = digests(folder / f"out{jobs}")
            base = base or seconds
            same = known is None or found == known
            known = known or found
            speed = base / seconds
            rows.append({"jobs": jobs, "seconds": seconds, "speed": speed, "code": code, "same": same})
            took = f"{seconds:.1f} s, {speed:.2f} x"
            results = f"{len(found)} results" + ("" if same else ", NOT THE SAME")
            print(f"{len(models)} models, {jobs} jobs: {took}, exit code {code}, {results}")
    if given.json is not None:
        given.json.write_text(json.dumps(rows, indent=2), encoding="utf-8")
    return 0 if all(row["same"] for row in rows) else 1


if __name__ == "__main__":
    sys.exit(main())
