"""A child may crash, hang, print and raise; the parent must always get a plain answer."""

import _thread
import os
import pickle
import signal
import subprocess
import sys
import threading
import time

import numpy as np
import pytest

from ncgopt.errors import Usage
from ncgopt.runtime.process import Worker, WorkerDied
from ncgopt.runtime.worker import RemoteError

HERE = "tests_runtime_remote"


@pytest.fixture(scope="module")
def worker(remote_module):
    with Worker() as worker:
        yield worker


def test_result_comes_back(worker):
    array = np.arange(6.0).reshape(2, 3)
    assert np.array_equal(worker.call(f"{HERE}:twice", array), array * 2)


def test_child_keeps_its_modules_between_calls(worker):
    assert worker.call(f"{HERE}:count") + 1 == worker.call(f"{HERE}:count")


def test_prints_do_not_corrupt_the_channel(worker):
    assert worker.call(f"{HERE}:noisy") == "quiet"


def test_library_and_builtin_exceptions_come_back(worker):
    with pytest.raises(Usage, match="no such pass"):
        worker.call(f"{HERE}:wrong_usage")
    with pytest.raises(KeyError) as caught:
        worker.call(f"{HERE}:missing_key")
    assert "missing_key" in caught.value.__notes__[0]


def test_foreign_exceptions_come_back_as_text(worker):
    with pytest.raises(RemoteError, match="Foreign: odd"):
        worker.call(f"{HERE}:foreign")


def test_exit_of_library_code_is_an_error_not_a_death(worker):
    with pytest.raises(RemoteError, match="SystemExit"):
        worker.call(f"{HERE}:leave")


def test_crash_names_signal_stage_and_output_and_the_next_call_works(worker):
    with pytest.raises(WorkerDied, match="while running the result at batch=3") as caught:
        worker.call(f"{HERE}:crash")
    death = caught.value
    assert not death.timed_out
    assert death.stage == "running the result at batch=3"
    assert "native last words" in death.output
    if os.name == "posix":
        assert death.signal_name == "SIGSEGV"
    assert worker.call(f"{HERE}:twice", 4) == 8


def test_timeout_kills(worker):
    start = time.monotonic()
    with pytest.raises(WorkerDied, match=r"out of time \(0.5 s\) while sleeping") as caught:
        worker.call(f"{HERE}:hang", timeout=0.5)
    assert caught.value.timed_out
    assert time.monotonic() - start < 10
    assert worker.call(f"{HERE}:twice", 1) == 2


@pytest.fixture
def interruptible():
    """Python's own handler for Ctrl-C: processes that a shell starts in the background inherit none."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, before)


@pytest.mark.usefixtures("interruptible")
def test_interrupt_in_the_parent_kills_the_child(worker):
    process = worker.call("os:getpid")
    timer = threading.Timer(0.3, _thread.interrupt_main)
    timer.start()
    with pytest.raises(KeyboardInterrupt):
        worker.call(f"{HERE}:hang", timeout=30)
    timer.join()
    assert worker.call("os:getpid") != process
    if os.name == "posix":
        with pytest.raises(ProcessLookupError):
            os.kill(process, 0)


def test_child_ends_with_its_parent_even_in_the_middle_of_a_call(worker):
    """The parent is a process of its own here; it is killed while its child sleeps."""
    script = (
        "import sys, threading, os; sys.path[:] = sys.argv[1:]\n"
        "from ncgopt.runtime.process import Worker\n"
        "worker = Worker(); print(worker.call('os:getpid'), flush=True)\n"
        f"worker.call('{HERE}:hang')\n"
    )
    parent = subprocess.Popen([sys.executable, "-c", script, *sys.path], stdout=subprocess.PIPE, text=True)
    child = int(parent.stdout.readline())
    time.sleep(0.3)
    parent.kill()
    parent.communicate()
    if os.name == "posix":
        assert gone_within(child, seconds=5)


def gone_within(process, seconds):
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        try:
            os.kill(process, 0)
        except ProcessLookupError:
            return True
        with open(f"/proc/{process}/stat", encoding="ascii") as stat:
            if stat.read().split()[2] == "Z":  # ended, not yet reaped by whoever inherited it
                return True
        time.sleep(0.05)
    return False


def test_large_values_pass(worker):
    big = np.zeros(5_000_000)
    assert worker.call(f"{HERE}:twice", big).nbytes == big.nbytes


def test_unpicklable_arguments_leave_the_child_alive(worker):
    before = worker.call("os:getpid")
    with pytest.raises((AttributeError, pickle.PicklingError), match="lambda"):
        worker.call(f"{HERE}:twice", lambda: None)
    assert worker.call("os:getpid") == before


def test_a_call_can_be_begun_and_waited_for_later():
    with Worker() as worker:
        result = worker.begin("operator:add", 1, 2)
        assert result(None) == 3
        assert worker.call("operator:add", 3, 4) == 7


def test_a_module_can_be_imported_ahead_and_need_not_exist():
    for module in ("json", "no_such_module"):
        with Worker() as worker:
            worker.start(module)
            assert worker.call("operator:contains", ["json"], "json")
            assert worker.call("operator:add", 1, 1) == 2


@pytest.mark.parametrize("threads", [False, True])
def test_numpy_has_one_thread_unless_all_are_asked_for(monkeypatch, threads):
    monkeypatch.delenv("OPENBLAS_NUM_THREADS", raising=False)
    with Worker(threads=threads) as worker:
        assert worker.call("os:getenv", "OPENBLAS_NUM_THREADS") == (None if threads else "1")
