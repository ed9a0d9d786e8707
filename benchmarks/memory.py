"""Peak memory of `ncgopt optimize`, process by process, beside what ONNX Runtime alone needs for the model.

    python benchmarks/memory.py MODEL.onnx ...
    python benchmarks/memory.py --no-verify MODEL.onnx ...   # only without verification

A process's peak is its largest resident set (`VmHWM`), which counts pages of mapped files too, although
the system may take those back at any time. "ours" is the largest process but the one that verifies, which
is the last column but two. ONNX Runtime's own peak is that of a fresh Python process that loads the model
with all optimizations and runs it once. Linux only.
"""

from __future__ import annotations

import argparse
import contextlib
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np

MB = 1 << 20
SIZE = 8  # of a dimension that is not fixed
ALLOWED = 1.2, 150  # times ONNX Runtime's own peak, and MB on top
CHILD = "--run-once"


def family(process: int) -> list[int]:
    """A process and everything below it."""
    found = [process]
    with contextlib.suppress(OSError):
        for task in Path(f"/proc/{process}/task").iterdir():
            for child in (task / "children").read_text().split():
                found += family(int(child))
    return found


def peaks(command: list[str]) -> tuple[list[int], float, int]:
    """Peak bytes of each process of a command in the order of their start; seconds; exit status."""
    start = time.perf_counter()
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE)
    found: dict[int, int] = {}
    while process.poll() is None:
        for one in family(process.pid):
            with contextlib.suppress(OSError):
                lines = Path(f"/proc/{one}/status").read_text().splitlines()
                kilobytes = [int(line.split()[1]) for line in lines if line.startswith("VmHWM")]
                found[one] = max([found.get(one, 0), *(1024 * number for number in kilobytes)])
        time.sleep(0.01)
    if process.returncode and process.stderr is not None:
        print(process.stderr.read().decode(errors="replace").strip(), file=sys.stderr)
    return [found[one] for one in sorted(found)], time.perf_counter() - start, process.returncode


def run_once(model: str) -> None:
    """Load a model as users do, and run it on zeros and ones."""
    import onnxruntime

    session = onnxruntime.InferenceSession(model, providers=["CPUExecutionProvider"])
    feeds = {}
    for given in session.get_inputs():
        shape = [size if isinstance(size, int) else SIZE for size in given.shape]
        name = given.type.removeprefix("tensor(").removesuffix(")")
        kind = {"float": "float32", "double": "float64"}.get(name, name)
        feeds[given.name] = np.zeros(shape, kind) if "int" in kind else np.ones(shape, kind)
    session.run(None, feeds)


def optimize(model: Path, folder: Path, *options: str) -> tuple[list[int], float, int]:
    """Peaks of the command line."""
    command = [
        str(Path(sys.executable).with_name("ncgopt")),
        "optimize",
        str(model),
        "-q",
        "-o",
        str(folder / "out.onnx"),
    ]
    return peaks([*command, *options])


def main() -> int:
    """Print a table; the exit status says whether every model is within its limit."""
    if len(sys.argv) == 3 and sys.argv[1] == CHILD:
        run_once(sys.argv[2])
        return 0
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("models", nargs="+", type=Path)
    parser.add_argument("--no-verify", action="store_true", help="leave out verification, and ONNX Runtime alone")
    parser.add_argument("--folder", type=Path, help="for results; the system's folder for temporary files without it")
    arguments = parser.parse_args()
    print(f"{'MB':28} {'model':>7} {'ours':>6} {'s':>6}  {'verified':>8} {'child':>6} {'s':>6} {'ORT':>6} {'limit':>6}")
    good = True
    for model in arguments.models:
        with tempfile.TemporaryDirectory(dir=arguments.folder) as folder:
            plain, seconds, status = optimize(model, Path(folder), "--no-verify")
            good &= status == 0
            size = model.stat().st_size + sum(path.stat().st_size for path in model.parent.glob(f"{model.name}.*"))
            line = f"{model.stem[:28]:28} {size // MB:7} {max(plain) // MB:6} {seconds:6.1f}"
            if not arguments.no_verify:
                own, _, _ = peaks([sys.executable, __file__, CHILD, str(model)])
                checked, seconds, status = optimize(model, Path(folder))
                limit = ALLOWED[0] * max(own) + ALLOWED[1] * MB
                good &= status == 0 and sum(checked) <= limit
                line += f"  {sum(checked) // MB:8} {max(checked) // MB:6} {seconds:6.1f}"
                line += f" {max(own) // MB:6} {limit / MB:6.0f}"
            print(line, flush=True)
    return not good


if __name__ == "__main__":
    sys.exit(main())
