"""How long `ncgopt check` takes on many small models, the first time and when nothing changed.

    python benchmarks/checks.py [COUNT]

Every model is a sample of `models/` with a text of its own in its metadata, so that no two have the same content. The
cache lies in a passing folder. Processes are timed as a whole, start of Python included.
"""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import onnx

SAMPLES = sorted((Path(__file__).parents[1] / "models").glob("*.onnx"))
CODE = "import sys; from ncgopt_cli.main import run; sys.argv[0] = 'ncgopt'; run()"


def main() -> None:
    """Make the models, check them three times."""
    count = int(sys.argv[1]) if len(sys.argv) > 1 else 200
    with tempfile.TemporaryDirectory() as folder:
        for number in range(count):
            model = onnx.load(SAMPLES[number % len(SAMPLES)])
            model.metadata_props.add(key="number", value=str(number))
            onnx.save(model, Path(folder) / f"{number:04}.onnx")
        names = sorted(path.name for path in Path(folder).glob("*.onnx"))
        environment = {**os.environ, "XDG_CACHE_HOME": str(Path(folder) / "cache")}
        for run in ("first", "warm", "warm"):
            start = time.perf_counter()
            command = [sys.executable, "-c", CODE, "check", "--quiet", *names]
            code = subprocess.run(command, cwd=folder, env=environment).returncode
            print(f"{run}: {count} models in {time.perf_counter() - start:.2f} s, exit code {code}")


if __name__ == "__main__":
    main()
