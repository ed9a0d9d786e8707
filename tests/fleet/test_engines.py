"""Ray and Dask, on clusters of two workers on this machine, one of which is killed in the middle.

They run where these are installed (`make test-engines`): each brings a hundred megabytes and more, which the other
tests do not need.
"""

import contextlib
import threading
import time

import pytest
from fleet.conftest import save_model

from ncgopt.errors import Unavailable
from ncgopt.fleet import Engine, find, into_folder, optimize_all
from ncgopt.settings import Settings

COUNT = 8


def _skip_unless_installed(name):
    pytest.importorskip({"ray": "ray", "dask": "distributed"}[name])
    return pytest.importorskip("psutil")


@pytest.fixture
def many(tmp_path):
    folder = tmp_path / "models"
    for number in range(COUNT):
        save_model(folder / f"{number}.onnx", ("Relu", "Neg", "Abs")[number % 3])
    return folder


def run(models, out, engine):
    pairs = into_folder(find([str(models)], results_too=True), str(out))
    with contextlib.closing(optimize_all(pairs, Settings(), engine=engine, folder=str(out))) as running:
        return list(running)


def results(folder):
    return {path.name: path.read_bytes() for path in folder.rglob("*.onnx")}


def _workers(psutil):
    """Processes below us that have a child of ours working for them."""
    found = []
    for process in psutil.Process().children(recursive=True):
        with contextlib.suppress(psutil.Error):
            if "ncgopt.runtime.worker" in " ".join(process.cmdline()):
                parent = process.parent()
                if parent is not None and "ncgopt.runtime.worker" not in " ".join(parent.cmdline()):
                    found.append(parent)
    return found


@pytest.mark.filterwarnings("ignore")  # of theirs
@pytest.mark.parametrize("name", ["dask", "ray"])
def test_a_killed_worker_costs_its_task_alone(name, many, tmp_path):
    psutil = _skip_unless_installed(name)
    local, far = tmp_path / "local", tmp_path / "far"
    run(many, local, Engine(jobs=2))
    killed = []

    def kill_one():
        end = time.monotonic() + 120
        while time.monotonic() < end and not killed:
            if list(far.glob("*.onnx")):
                for worker in _workers(psutil)[:1]:
                    worker.kill()
                    killed.append(worker.pid)
            time.sleep(0.05)

    killer = threading.Thread(target=kill_one)
    killer.start()
    found = run(many, far, Engine(name, jobs=2))
    killer.join()
    assert killed
    assert [done.error for done in found] == [None] * COUNT
    assert sorted(done.index for done in found) == list(range(COUNT))
    assert results(local) == results(far)
    assert not list(far.rglob("*.tmp"))
    again = run(many, far, Engine("local"))
    assert all(done.before for done in again)


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("name", ["dask", "ray"])
def test_an_error_of_a_task_comes_back(name, tmp_path):
    _skip_unless_installed(name)
    (tmp_path / "bad.onnx").write_text("no model")
    (found,) = run(tmp_path, tmp_path / "out", Engine(name, jobs=1))
    assert "truncated" in str(found.error)


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize(("name", "address"), [("dask", "tcp://127.0.0.1:1"), ("ray", "127.0.0.1:1")])
def test_a_cluster_that_is_not_there(name, address, many, tmp_path):
    _skip_unless_installed(name)
    with pytest.raises(Unavailable, match=f"answers at {address}"):
        run(many, tmp_path / "out", Engine(name, address=address))
