"""Small models, and functions for children that end in the middle."""

import numpy as np
import onnx
import pytest

TEXT = """
<ir_version: 10, opset_import: ["" : 21]>
g (float[N, 4] x) => (float[N, 4] y) {{
    same = Identity(x)
    product = MatMul(same, w)
    y = {last}(product)
}}
"""
PLANTED = """
import os
import signal
import time
from pathlib import Path

from ncgopt import job
from ncgopt.settings import Settings


def die_once(marker, value):
    note = Path(marker)
    with note.open("a") as file:
        file.write("x")
    if len(note.read_text()) == 1:
        os.kill(os.getpid(), signal.SIGKILL)
    return value, len(note.read_text())


def fail(value):
    if value == 1:
        raise ValueError("one is refused")
    return value


def sleep(seconds):
    time.sleep(seconds)


def one_after_the_other(paths, out, scratch):
    # which process models ran in, after each of them
    pids = []
    for path in paths:
        job.run(path, Settings(), Path(out, path.name), False, [], Path(scratch), Path(scratch, "doing"), True)
        pids += [one.worker.call("os:getpid") for one in job._kept] or [0]
    return pids


def optimize_but_die_once(model, *rest):
    note = Path(str(model) + ".started")
    if "b.onnx" in note.name and not note.exists():
        note.touch()
        os.kill(os.getpid(), signal.SIGKILL)
    return job.run(model, *rest)
"""


def save_model(path, last="Relu"):
    model = onnx.parser.parse_model(TEXT.format(last=last))
    weight = np.arange(16, dtype=np.float32).reshape(4, 4)
    model.graph.initializer.append(onnx.numpy_helper.from_array(weight, "w"))
    path.parent.mkdir(parents=True, exist_ok=True)
    onnx.save(model, path)
    return path


@pytest.fixture
def planted(tmp_path_factory, monkeypatch):
    """The module `planted_tasks`, which children find because they get our `sys.path`."""
    folder = tmp_path_factory.mktemp("planted")
    (folder / "planted_tasks.py").write_text(PLANTED, encoding="utf-8")
    monkeypatch.syspath_prepend(folder)
    return "planted_tasks"


@pytest.fixture
def models(tmp_path):
    """A folder of three models, one of them deeper, and one file that is none."""
    folder = tmp_path / "models"
    save_model(folder / "a.onnx")
    save_model(folder / "b.onnx", "Neg")
    save_model(folder / "deep" / "c.onnx", "Abs")
    (folder / "bad.onnx").write_text("no model")
    return folder
