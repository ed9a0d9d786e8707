"""Memory that a child must not take: refused by the kernel, or the child is ended."""

import os
import subprocess
import sys

import numpy as np
import pytest

from ncgopt.bytesize import parse_size, size_text
from ncgopt.runtime.memory import default_limit, held_by
from ncgopt.runtime.process import Worker, WorkerDied

HERE = "tests_runtime_remote"
LINUX = sys.platform.startswith("linux")


@pytest.mark.parametrize(
    ("text", "size"),
    [("800MB", 800_000_000), ("1.5GiB", 3 << 29), ("4g", 4_000_000_000), ("1234", 1234), (" 2 kB ", 2000)],
)
def test_sizes(text, size):
    assert parse_size(text) == size


@pytest.mark.parametrize("text", ["", "GB", "-1GB", "0", "1 parsec", "1e9", "4GBit"])
def test_no_sizes(text):
    with pytest.raises(ValueError, match="no size"):
        parse_size(text)


def test_size_text():
    assert [size_text(n) for n in (0, 999, 1500, 2_340_000, 10**13)] == ["0 B", "999 B", "1.5 kB", "2.34 MB", "10 TB"]


def test_the_default_leaves_the_machine_some():
    limit = default_limit()
    if os.name == "posix":
        assert 1 << 28 < limit < os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")


@pytest.mark.skipif(os.name != "posix", reason="the memory of another process is not known on Windows")
def test_what_a_process_holds(tmp_path):
    before = held_by(os.getpid())
    array = np.ones(40_000_000, dtype=np.uint8)
    assert held_by(os.getpid()) - before > 30_000_000
    assert held_by(2**22 + 1) is None
    assert array.all()


@pytest.mark.skipif(not LINUX, reason="only Linux refuses by this limit")
def test_a_huge_request_is_refused_and_the_child_lives_on(remote_module):
    with Worker(memory=1 << 30) as worker:
        process = worker.call("os:getpid")
        with pytest.raises(MemoryError):
            worker.call(f"{HERE}:take", 10**13)
        assert worker.call("os:getpid") == process


@pytest.mark.skipif(os.name != "posix", reason="the memory of another process is not known on Windows")
def test_a_child_that_grows_beyond_its_limit_is_ended(remote_module, monkeypatch):
    monkeypatch.setattr("ncgopt.runtime.child._as_text", lambda limit: "0")  # the kernel does not refuse
    with Worker(memory=200_000_000) as worker:
        with pytest.raises(WorkerDied, match=r"out of memory \(200 MB\) while growing") as caught:
            worker.call(f"{HERE}:grow", timeout=60)
        assert caught.value.out_of_memory
        assert not caught.value.timed_out
        assert worker.call(f"{HERE}:twice", 2) == 4


def test_an_abort_for_want_of_memory_is_called_that(remote_module):
    with Worker() as worker, pytest.raises(WorkerDied, match="out of memory while allocating") as caught:
        worker.call(f"{HERE}:bad_alloc")
    assert caught.value.out_of_memory


@pytest.mark.skipif(not LINUX, reason="asks the kernel for the signal")
def test_a_child_ends_with_its_parent_though_it_never_lets_go_of_the_interpreter(remote_module):
    script = (
        "import sys; sys.path[:] = sys.argv[1:]\n"
        "from ncgopt.runtime.process import Worker\n"
        "worker = Worker(); print(worker.call('os:getpid'), flush=True)\n"
        f"worker.call('{HERE}:hold')\n"
    )
    parent = subprocess.Popen([sys.executable, "-c", script, *sys.path], stdout=subprocess.PIPE, text=True)
    child = int(parent.stdout.readline())
    parent.kill()
    parent.communicate()
    assert _gone(child)


def _gone(process):
    for _ in range(100):
        try:
            with open(f"/proc/{process}/stat", encoding="ascii") as stat:
                if stat.read().split()[2] == "Z":
                    return True
        except FileNotFoundError:
            return True
        subprocess.run(["sleep", "0.05"], check=True)
    return False
