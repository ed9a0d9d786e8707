"""Kill many runs of `ncgopt optimize --in-place` at random moments: `python tests/model/kills.py [RUNS] [SEED]`.

After each the model must be what it was or what it becomes, with all files that belong to it, and nothing
else of a size; what is left of temporary files must be gone after the next run. Half of the runs are killed
somewhere, half right when writing begins; half with all their processes at once, half the first one only.
"""

from __future__ import annotations

import hashlib
import os
import random
import shutil
import signal
import subprocess
import sys
import tempfile
import threading
import time
from collections import Counter
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

COMMAND = [sys.executable, "-c", "from ncgopt_cli.main import run; run()"]
ROWS = 1200  # 6 MB per weight, so that writing takes a moment

State = tuple[str, tuple[tuple[str, str], ...]]


def write_model(folder: Path, *, external: bool) -> Path:
    """A model whose weights and nodes both change."""
    rng = np.random.default_rng(0)
    weights = [rng.standard_normal((ROWS, ROWS)).astype(np.float32) for _ in range(2)]
    nodes = [
        helper.make_node("Identity", ["x"], ["i"]),
        helper.make_node("Neg", ["w0"], ["m"]),
        helper.make_node("MatMul", ["i", "m"], ["h"]),
        helper.make_node("MatMul", ["h", "w1"], ["y"]),
    ]
    ports = [helper.make_tensor_value_info(name, TensorProto.FLOAT, ["N", ROWS]) for name in ("x", "y")]
    initializers = [numpy_helper.from_array(weight, f"w{k}") for k, weight in enumerate(weights)]
    graph = helper.make_graph(nodes, "g", ports[:1], ports[1:], initializers)
    model = helper.make_model(graph, ir_version=10, opset_imports=[helper.make_opsetid("", 21)])
    path = folder / "m.onnx"
    onnx.save(model, path, save_as_external_data=external, location="m.onnx.data" if external else None)
    return path


def state(path: Path) -> State:
    """Digests of the .onnx file and of the data files that it names; whoever cannot load it raises."""
    proto = onnx.load(path, load_external_data=False)
    names = {e.value for t in proto.graph.initializer for e in t.external_data if e.key == "location"}
    onnx.checker.check_model(onnx.load(path))
    digests = tuple((name, _digest(path.parent / name)) for name in sorted(names))
    return _digest(path), digests


def _digest(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()


@dataclass
class Kills:
    """Runs on copies of one model.

    Attributes:
        old, new: the only two states allowed.
        seconds: how long a run takes that is left alone.
        seen: how often each state was found.
    """

    root: Path
    external: bool
    rng: random.Random

    def __post_init__(self) -> None:
        self.origin = self.root / "origin"
        self.origin.mkdir()
        self.old = state(write_model(self.origin, external=self.external))
        folder = self._copy()
        start = time.monotonic()
        self._start(folder, verify=False).communicate()
        self.seconds = time.monotonic() - start
        self.new = state(folder / "m.onnx")
        assert self.new != self.old, "the run must change something"
        self.seen: Counter[str] = Counter()

    def one(self, *, verify: bool = False) -> None:
        """Start, kill, look."""
        folder = self._copy()
        process = self._start(folder, verify=verify)
        writing = threading.Event()
        reader = threading.Thread(target=_read, args=(process, writing))
        reader.start()
        if self.rng.random() < 0.5:
            writing.wait(self.rng.uniform(0, 1.1 * self.seconds))
        else:
            writing.wait()
            time.sleep(self.rng.uniform(0, 0.15))
        everything = self.rng.random() < 0.5
        _kill(process, everything=everything)
        reader.join()
        process.stderr.close()
        found = state(folder / "m.onnx")
        assert found in (self.old, self.new), f"neither the old nor the new model is in {folder}"
        self.seen["old" if found == self.old else "new"] += 1
        if [path for path in folder.iterdir() if path.suffix == ".tmp"]:
            self.seen["with temporary files"] += 1
            self._next_run_sweeps(folder)
        shutil.rmtree(folder)

    def _next_run_sweeps(self, folder: Path) -> None:
        for path in folder.iterdir():
            os.utime(path, (0, 0))
        self._start(folder, verify=False).communicate()
        assert state(folder / "m.onnx")[0] == self.new[0]
        assert not [path.name for path in folder.iterdir() if path.suffix == ".tmp"], "temporary files stay"

    def _copy(self) -> Path:
        folder = Path(tempfile.mkdtemp(dir=self.root))
        for path in self.origin.iterdir():
            shutil.copy(path, folder)
        return folder

    def _start(self, folder: Path, *, verify: bool) -> subprocess.Popen[str]:
        more = [] if verify else ["--no-verify"]
        return subprocess.Popen(
            [*COMMAND, "optimize", "m.onnx", "--in-place", "-v", *more], cwd=folder, text=True,
            stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, start_new_session=True,
        )  # fmt: skip


def _read(process: subprocess.Popen[str], writing: threading.Event) -> None:
    for line in process.stderr or ():
        if line.strip() == "writing":
            writing.set()
    writing.set()


def _kill(process: subprocess.Popen[str], *, everything: bool) -> None:
    """SIGKILL, and wait until the last of its processes is gone: the others end by themselves, or are killed too."""
    if everything:
        os.killpg(process.pid, signal.SIGKILL)
    else:
        process.kill()
    process.wait()
    end = time.monotonic() + 30
    while time.monotonic() < end:
        try:
            os.killpg(process.pid, 0)
        except ProcessLookupError:
            return
        except PermissionError:
            pass
        time.sleep(0.01)
    raise AssertionError("a process outlives its parent by 30 s")


def main(runs: int, seed: int) -> None:
    """Half of the runs with embedded weights, half with external ones."""
    with tempfile.TemporaryDirectory() as folder:
        for external in (False, True):
            place = Path(folder, "external" if external else "embedded")
            place.mkdir()
            kills = Kills(place, external, random.Random(seed))
            for number in range(runs // 2):
                kills.one(verify=number % 10 == 9)
            print(f"{place.name}: {runs // 2} runs killed, {dict(kills.seen)}", flush=True)


if __name__ == "__main__":
    given = [int(word) for word in sys.argv[1:]]
    main(*(given + [200, 0][len(given) :]))
