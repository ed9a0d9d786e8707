"""Peak memory of `ncgopt optimize`, process by process, beside what ONNX Runtime alone needs for the model.

    python benchmarks/memory.py MODEL.onnx ...
    python benchmarks/memory.py --no-verify MODEL.onnx ...   # only without verification
    python benchmarks/memory.py --large FOLDER/external.onnx FOLDER/single.onnx   # what large_models.py writes

A process's peak is its largest resident set (`VmHWM`), which counts pages of mapped files too, although the
system may take those back at any time. "parent" is the command and the process that does the work, together;
"child" is the one that runs models: it verifies, and without verification it computes constants where that takes
ONNX Runtime. Peaks are added as if they came at the same time. "ORT" is the peak of a fresh Python process that
loads the model with all optimizations and runs it once. Allowed are 220 MB for the parent without verification,
and with it 1.2 times ONNX Runtime's own peak and 150 MB for parent and child; with --large, 300 MB and 30 s
without, and 2 GB with verification by windows. "of limit" says how much of that is used. Linux only.
"""

from __future__ import annotations

import argparse
import contextlib
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path

import numpy as np

MB = 1 << 20
SIZE = 8  # of a dimension that is not fixed
ALLOWED = 1.2, 150  # times ONNX Runtime's own peak, and MB on top
PARENT = 220  # MB without verification
LARGE = 300, 30.0, 2000  # MB and seconds without, MB with verification
CHILD = "--run-once"


@dataclass(frozen=True)
class Peaks:
    """MB of the parent and of the child, seconds, and whether the command succeeded."""

    parent: float
    child: float
    seconds: float
    good: bool

    @property
    def together(self) -> float:
        """As if both peaks came at the same time."""
        return self.parent + self.child


def family(process: int, depth: int = 0) -> list[tuple[int, int]]:
    """A process and everything below it, with how far below it is."""
    found = [(process, depth)]
    with contextlib.suppress(OSError):
        for task in Path(f"/proc/{process}/task").iterdir():
            for child in (task / "children").read_text().split():
                found += family(int(child), depth + 1)
    return found


def peaks(command: list[str]) -> Peaks:
    """Watch a command: its own process and the one below it are the parent, what is below that is the child."""
    start = time.perf_counter()
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE)
    found: dict[tuple[int, int], float] = {}
    while process.poll() is None:
        for one in family(process.pid):
            with contextlib.suppress(OSError):
                lines = Path(f"/proc/{one[0]}/status").read_text().splitlines()
                kilobytes = [int(line.split()[1]) for line in lines if line.startswith("VmHWM")]
                found[one] = max([found.get(one, 0.0), *(number / 1024 for number in kilobytes)])
        time.sleep(0.01)
    if process.returncode and process.stderr is not None:
        print(process.stderr.read().decode(errors="replace").strip(), file=sys.stderr)
    levels = [max((peak for (_, at), peak in found.items() if at == depth), default=0.0) for depth in range(4)]
    return Peaks(levels[0] + levels[1], levels[2] + levels[3], time.perf_counter() - start, not process.returncode)


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
    with contextlib.suppress(Exception):  # some take neither; loading is what takes most
        session.run(None, feeds)


def optimize(model: Path, folder: Path, *options: str) -> Peaks:
    """Peaks of the command line."""
    command = [str(Path(sys.executable).with_name("ncgopt")), "optimize", str(model), "-q"]
    return peaks([*command, "-o", str(folder / "out.onnx"), *options])


def measure(model: Path, folder: Path, *, verify: bool, large: bool) -> bool:
    """Print the line of one model; whether it is within its limits."""
    plain = optimize(model, folder, "--no-verify")
    size = sum(path.stat().st_size for path in (model, *model.parent.glob(f"{model.name}.*"))) / MB
    print(f"{model.stem[:24]:24} {size:6.0f}  {plain.parent:6.0f} {plain.child:6.0f} {plain.seconds:6.1f}", end="")
    good = plain.good and plain.parent <= (LARGE[0] if large else PARENT)
    good &= not large or plain.seconds <= LARGE[1]
    if verify:
        checked = optimize(model, folder, *(["--verify-mode", "window"] if large else []))
        own = 0.0 if large else peaks([sys.executable, __file__, CHILD, str(model)]).together
        limit = LARGE[2] if large else ALLOWED[0] * own + ALLOWED[1]
        good &= checked.good and checked.together <= limit
        print(f"  {checked.parent:6.0f} {checked.child:6.0f} {checked.together:8.0f} {checked.seconds:6.1f}", end="")
        print(f"  {own:6.0f} {limit:6.0f} {checked.together / limit:8.0%}", end="")
    print("" if good else "  over", flush=True)
    return good


def main() -> int:
    """Print a table; the exit status says whether every model is within its limits."""
    if len(sys.argv) == 3 and sys.argv[1] == CHILD:
        run_once(sys.argv[2])
        return 0
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("models", nargs="+", type=Path)
    parser.add_argument("--no-verify", action="store_true", help="leave out verification, and ONNX Runtime alone")
    parser.add_argument("--large", action="store_true", help="verify by windows, within fixed limits")
    parser.add_argument("--folder", type=Path, help="for results; the system's folder for temporary files without it")
    arguments = parser.parse_args()
    print(f"{'MB':24} {'model':>6}  {'parent':>6} {'child':>6} {'s':>6}", end="")
    titles = f"  {'parent':>6} {'child':>6} {'together':>8} {'s':>6}  {'ORT':>6} {'limit':>6} {'of limit':>8}"
    print("" if arguments.no_verify else titles)
    good = True
    for model in arguments.models:
        with tempfile.TemporaryDirectory(dir=arguments.folder) as folder:
            good &= measure(model, Path(folder), verify=not arguments.no_verify, large=arguments.large)
    return not good


if __name__ == "__main__":
    sys.exit(main())
